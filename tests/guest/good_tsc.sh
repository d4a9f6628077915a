# SPDX-License-Identifier: GPL-2.0-only
#
# Where the TSC is invariant and nothing speaks against it, the kernel prefers it to its own kvm-clock
# (299), and to ours: loading moves nothing. MODE: shared or owned (nopv).
. /tests/lib.sh

MODE=${MODE:-shared}
# One below native, or what native would have had.
[ "$MODE" = owned ] && rating=299 || rating=298

# The kernel takes some seconds to find its rate, and calls it tsc-early until then.
tsc_is_good() {
	grep -qw constant_tsc /proc/cpuinfo && grep -qw nonstop_tsc /proc/cpuinfo || return 1
	tries=0
	until available tsc; do
		tries=$((tries + 1))
		[ $tries -le 300 ] || { dmesg | grep -i tsc; return 1; }
		sleep 0.1
	done
	equal current_clocksource "$(current_clocksource)" tsc
}

# The 300 of the TSC is above it.
loading_moves_nothing() {
	load && equal current_clocksource "$(current_clocksource)" tsc &&
		equal mode "$(mode clock)" "$MODE"
}

remember
check tsc_is_good tsc_is_good
check loading_moves_nothing loading_moves_nothing
check rating equal rating "$(field clock/state rating)" $rating
check path_is_stable equal path "$(field clock/state path)" stable
check selects select_clocksource kvmpv
check now_rises rises_by_a_second
check cpus_equal_msrs cpus_equal_msrs
check selects_the_tsc_again select_clocksource tsc
check unloads rmmod kvmpv
check everything_is_undone undone
finish
