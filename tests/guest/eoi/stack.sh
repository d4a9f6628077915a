# SPDX-License-Identifier: GPL-2.0-only
#
# The EOI callback of another module sits on top of ours or below it, and either one leaves first.
. /tests/lib.sh
. /tests/eoi/lib.sh

OTHER=/sys/kernel/debug/kvmpv_eoi_on_top

# Both see interrupts end, because the one on top calls the one below.
both_count() {
	ours=$(total_elided)
	others=$(awk '{ print $2 }' $OTHER)
	echo 200 > $STORM/self
	within ours $(($(total_elided) - ours)) 200 100000 &&
		within others $(($(awk '{ print $2 }' $OTHER) - others)) 200 100000
}

# kvmpv is below: it refuses to unhook, says so, and continues to work.
stays_below_another() {
	load clock=0 && insmod /kvmpv/kvmpv_eoi_on_top.ko || return 1
	fails_with 'busy' sh -c "echo 0 > $DEBUG/eoi/hook" || return 1
	equal hooked "$(field eoi/hook hooked)" yes || return 1
	contains "$(field eoi/hook above)" '^on_top_eoi$' || return 1
	both_count
}

# The other module leaves first.
leaves_after_it() {
	rmmod kvmpv_eoi_on_top && equal above "$(field eoi/hook above)" - || return 1
	echo 0 > $DEBUG/eoi/hook && echo 1 > $DEBUG/eoi/hook && rmmod kvmpv && undone
}

# Unloading from below waits, and the log says for whom.
unloading_waits_for_it() {
	load clock=0 && insmod /kvmpv/kvmpv_eoi_on_top.ko || return 1
	rmmod kvmpv &
	rmmod=$!
	until dmesg | grep -q 'kvmpv: eoi: on_top_eoi .*sits on top'; do
		kill -0 $rmmod || { echo 'rmmod has not waited'; return 1; }
		sleep 1
	done
	echo 200 > $STORM/self
	sleep 1
	kill -0 $rmmod || { echo 'rmmod has not waited'; return 1; }
	rmmod kvmpv_eoi_on_top && wait $rmmod && undone
}

# kvmpv comes after another module: it cannot tell who uses the slot, and hooks nothing.
comes_after_another() {
	insmod /kvmpv/kvmpv_eoi_on_top.ko || return 1
	hooks > /tmp/hooks.other
	load clock=0 steal_hook=0 || return 1
	equal mode "$(mode eoi)" off || return 1
	equal hooked "$(field eoi/hook hooked)" no || return 1
	hooks | diff /tmp/hooks.other - || return 1
	rmmod kvmpv && rmmod kvmpv_eoi_on_top && undone
}

remember
insmod /kvmpv/kvmpv_storm.ko
check stays_below_another
check leaves_after_it
check unloading_waits_for_it
check comes_after_another
check nothing_in_service equal in_service "$(awk 'NF > 1' $STORM/in_service)" ''
rmmod kvmpv_storm
finish
