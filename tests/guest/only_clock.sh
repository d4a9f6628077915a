# SPDX-License-Identifier: GPL-2.0-only
#
# A guest that has no other clock for high-resolution timers, because all others have been unbound: the
# kernel cannot leave kvmpv, and what is said of that is true. MODE: shared or owned (nopv). Last in its
# guest: the module stays, and the other clocks are gone.
. /tests/lib.sh

MODE=${MODE:-shared}

# The name written is not ours, whatever an earlier script has named. The TSC comes and goes.
unbinds_the_others() {
	echo "$before" > $CLOCKSOURCE/current_clocksource || return 1
	for name in $(clocks); do
		[ "$name" = kvmpv ] || echo "$name" > $CLOCKSOURCE/unbind_clocksource || return 1
	done
	for name in tsc tsc-early; do
		echo $name > $CLOCKSOURCE/unbind_clocksource
	done 2> /dev/null
	equal available "$(cat $CLOCKSOURCE/available_clocksource)" 'kvmpv ' && equal current "$(current_clocksource)" kvmpv
}

stays() {
	fails_with 'busy' sh -c "echo 1 > $DEBUG/clock/release" && equal current "$(current_clocksource)" kvmpv
}

# Nobody has named kvmpv.
release_says_there_is_no_other() {
	stays || return 1
	contains "$(dmesg | tail -3)" 'kvmpv: release: .*no other clock for high-resolution timers' &&
		lacks "$(dmesg | tail -3)" 'current_clocksource was set' &&
		contains "$(cat $DEBUG/clock/release)" '^override no: .*no other clock'
}

release_says_that_it_was_named() {
	echo 0 > $DEBUG/clock/release && select_clocksource kvmpv && stays || return 1
	contains "$(dmesg | tail -3)" 'kvmpv: release: .*current_clocksource was set' &&
		contains "$(cat $DEBUG/clock/release)" '^override yes: .*current_clocksource was set'
}

unbinding_is_refused() {
	fails_with 'busy' sh -c "echo kvmpv > $CLOCKSOURCE/unbind_clocksource" &&
		equal registered "$(field clock/state registered)" yes
}

before=$(current_clocksource)
remember
[ "$MODE" = shared ] && check loads load clock_rating=450 || check loads load
check unbinds_the_others unbinds_the_others
check release_says_there_is_no_other release_says_there_is_no_other
check release_says_that_it_was_named release_says_that_it_was_named
check unbinding_is_refused unbinding_is_refused
check status_says_so contains "$(cat $DEBUG/status)" 'Where available_clocksource has no other name'
check rmmod_is_refused fails_with 'busy|unavailable|in use' rmmod kvmpv
finish
