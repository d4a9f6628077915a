# SPDX-License-Identifier: GPL-2.0-only
#
# The host stops the guest for a minute. Because the module publishes its clock records where the
# kernel looks whether it was paused, the kernel's watchdogs are silent; the last check takes that
# away, to see that they would have complained. For an owned clock (nopv), on a guest that believes
# its TSC (tsc=reliable): that goes on meanwhile, and is what the soft-lockup watchdog measures with.
# tsc_early_khz: roughly; a kernel on an emulated host finds no rate of its own.
. /tests/lib.sh

STATE=clock/state
# Beyond the watchdog's threshold of 20 s.
LONG=60
SHORTER=30

complaints() {
	dmesg | grep -cE 'BUG: soft lockup|INFO: rcu.*stall|blocked for more than'
}

# The kernel's watchdog looks at each CPU every 4 s, ours every second.
is_stopped() {
	pauses=$(field $STATE events_pause)
	ask_host stop "$1"
	each_cpu_returns watchdog_timer_fn 2 && counts_beyond events_pause "$pauses" && each_cpu_looks || return 1
	equal pauses "$(field $STATE events_pause)" $((pauses + 1)) || return 1
	equal current "$(current_clocksource)" kvmpv
}

remember
check loads load
check mode equal mode "$(mode clock)" owned
check moves_to_us_by_itself equal current "$(current_clocksource)" kvmpv
# The watchdog forgives a CPU that was idle.
taskset 2 /tests/clock_watch > /dev/null &
# Or there is nothing to tell a pause from.
check each_cpu_looks each_cpu_looks
check is_stopped_for_a_minute is_stopped $LONG
check no_watchdog_complains equal complaints "$(complaints)" 0
insmod /kvmpv/kvmpv_unpublish.ko
check is_stopped_unpublished is_stopped $SHORTER
check a_watchdog_complains within complaints "$(complaints)" 1 2
kill $!
echo 1 > $DEBUG/clock/release
check unloads rmmod kvmpv
check everything_is_undone undone
finish
