# SPDX-License-Identifier: GPL-2.0-only
#
# Sleeps between two marks, on the native clock and on ours; tests/host/sleep_by_host_clock.py
# takes the time by the host's clock.
. /tests/lib.sh

SECONDS_ASLEEP=5

# On stdout, which the host can read as it comes.
sleep_between_marks() {
	echo "# $1 sleeps $SECONDS_ASLEEP s"
	sleep $SECONDS_ASLEEP
	echo "# $1 awoke"
}

remember
# Twice: the host's program may not have been there yet for the first.
sleep_between_marks native
sleep_between_marks native
check loads load
check selects select_clocksource kvmpv
sleep_between_marks kvmpv
check is_current equal current "$(field clock/state current)" yes
check selects_native_again select_clocksource kvm-clock
check unloads rmmod kvmpv
check everything_is_undone undone
finish
