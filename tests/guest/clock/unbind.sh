# SPDX-License-Identifier: GPL-2.0-only
#
# Root unbinds the clocksource. `status` says so, `release` does not register it again, and rmmod works. MODE:
# shared or owned (nopv).
. /tests/lib.sh

CPU1=/sys/devices/system/cpu/cpu1/online

unbind() {
	echo kvmpv > $CLOCKSOURCE/unbind_clocksource
}

is_unbound() {
	! available kvmpv && equal current "$(current_clocksource)" "$before" &&
		equal registered "$(field clock/state registered)" no && equal unbound "$(field clock/state unbound)" yes &&
		contains "$(cat $DEBUG/status)" '^The clocksource kvmpv was unbound' &&
		lacks "$(cat $DEBUG/status)" '^kvmpv +[0-9]+ +(yes|no) '
}

release_is_refused() {
	for value in 1 0; do
		fails_with 'nvalid' sh -c "echo $value > $DEBUG/clock/release" || return 1
		is_unbound || return 1
	done
	contains "$(dmesg | tail -3)" 'kvmpv: release: kvmpv was unbound'
}

# The records are still read, and a CPU that comes online gets its own.
still_follows() {
	rises_by_a_second && echo 0 > $CPU1 && echo 1 > $CPU1 && cpus_equal_msrs && rises_by_a_second
}

unbinds_the_current_one() {
	[ "$MODE" = owned ] || select_clocksource kvmpv || return 1
	equal current "$(current_clocksource)" kvmpv && unbind && is_unbound && release_is_refused
}

before=$(current_clocksource)
remember
check loads load
check unbinds unbind
check is_unbound
check release_is_refused
check still_follows
check unloads rmmod kvmpv
check everything_is_undone undone
check loads_again load
check is_registered_again equal registered "$(field clock/state registered)" yes
check unbinds_the_current_one
check unloads_again rmmod kvmpv
check everything_is_undone_again undone
finish
