# SPDX-License-Identifier: GPL-2.0-only
#
# Booted with cpuidle_haltpoll.force=1: the kernel's own driver polls in the guest, and has forbidden the host to. It
# owns the MSR: kvmpv writes nothing there.
. /tests/lib.sh
. /tests/halt_poll/lib.sh

is_refused() {
	for text in 0 1 '0 1' '1 0'; do
		refused 'busy' "$text" || return 1
	done
	fails_with 'busy' sh -c "echo 1 > $PARAMETERS/halt_poll" || return 1
	refused 'nvalid' 2 && equal MSRs "$(poll_msrs)" '0x0 0x0 ' && equal set "$(set_and_before)" '-/- -/- '
}

counts_all_the_same() {
	echo 1 > $POLL/accounting && sleep 1 && within wakeups "$(cell halt_poll/cpus 0 wakeups)" 1 1000000000
}

loads_with_parameter() {
	load halt_poll=1 && equal MSRs "$(poll_msrs)" '0x0 0x0 ' &&
		contains "$(dmesg)" 'kvmpv: halt_poll: the parameter could not be applied: error -16'
}

remember
check driver_is_there equal driver "$(cat /sys/devices/system/cpu/cpuidle/current_driver)" haltpoll
check driver_forbids equal MSRs "$(poll_msrs)" '0x0 0x0 '
check loads load
check mode equal mode "$(mode halt_poll)" shared
check reason contains "$(reason halt_poll)" 'the cpuidle driver haltpoll sets it; the driver haltpoll is active$'
check state equal haltpoll_driver "$(field halt_poll/state haltpoll_driver)" yes
check is_refused
check counts_all_the_same
check unloads rmmod kvmpv
check everything_is_undone undone
check loads_with_parameter
end
