# SPDX-License-Identifier: GPL-2.0-only
#
# If the TSC is invariant and not marked unstable, the kernel prefers it to its own kvm-clock (299) and to
# ours, so loading changes no clocksource. MODE: shared or owned (nopv).
. /tests/lib.sh

# Native's rating minus one, or in owned mode what native's would be.
[ "$MODE" = owned ] && rating=299 || rating=298

# Or tsc-early, as it is called until the kernel has measured its rate. On an emulated host without kvm-clock
# the kernel may never get two reads of the HPET that are close enough together.
tsc_is_preferred() {
	contains "$(current_clocksource)" '^tsc(-early)?$'
}

tsc_is_good() {
	grep -qw constant_tsc /proc/cpuinfo && grep -qw nonstop_tsc /proc/cpuinfo && tsc_is_preferred
}

# The TSC's rating of 300, or 299 while it is early, is not below ours.
loading_moves_nothing() {
	load && tsc_is_preferred && equal mode "$(mode clock)" "$MODE"
}

remember
check tsc_is_good
check loading_moves_nothing
check rating equal rating "$(field clock/state rating)" $rating
check path_is_stable equal path "$(field clock/state path)" stable
before=$(current_clocksource)
check selects select_clocksource kvmpv
check now_rises rises_by_a_second
check cpus_equal_msrs
check selects_the_tsc_again select_clocksource "$before"
end
