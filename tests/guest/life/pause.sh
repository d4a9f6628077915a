# SPDX-License-Identifier: GPL-2.0-only
#
# The host stops the guest for a minute. The kernel's watchdogs stay silent, because the module publishes its
# clock records where the kernel's paused-guest check looks. The last check hides the records, and the watchdogs
# complain. For an owned clock (nopv) in a guest with tsc=reliable: the TSC runs meanwhile, and the soft-lockup
# watchdog measures by it. tsc_early_khz is approximate; on an emulated host the kernel cannot calibrate the TSC.
. /tests/lib.sh

STATE=clock/state
# Longer than the watchdog's threshold of 20 s.
LONG=60
SHORTER=30

complaints() {
	dmesg | grep -cE 'BUG: soft lockup|INFO: rcu.*stall|blocked for more than'
}

# The kernel's watchdog looks at each CPU every 4 s, our sampler every second.
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
# The watchdog does not complain about an idle CPU.
taskset 2 /tests/clock_watch > /dev/null &
# So that there is an earlier look with which the pause can be compared.
check each_cpu_looks
check is_stopped_for_a_minute is_stopped $LONG
check no_watchdog_complains equal complaints "$(complaints)" 0
insmod /kvmpv/kvmpv_unpublish.ko
check is_stopped_unpublished is_stopped $SHORTER
check a_watchdog_complains within complaints "$(complaints)" 1 2
kill $!
echo 1 > $DEBUG/clock/release
end
