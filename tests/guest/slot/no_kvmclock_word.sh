# SPDX-License-Identifier: GPL-2.0-only
#
# With no-kvmclock on its command line the kernel uses all paravirtual features but the clock, which is ours.
. /tests/lib.sh

begin clock
check no_native_clock sh -c ". /tests/lib.sh; ! available kvm-clock"
check steal_is_the_kernels equal mode "$(mode steal)" shared
check eoi_is_the_kernels equal mode "$(mode eoi)" shared
check moves_to_us_by_itself equal current "$(current_clocksource)" kvmpv
check path_is_stable equal path "$(field clock/state path)" stable
check cpus_equal_msrs
check now_rises rises_by_a_second
echo 1 > $DEBUG/clock/release
end
