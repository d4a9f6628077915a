# SPDX-License-Identifier: GPL-2.0-only
#
# All that kvmpv does, each thing once: for kernels on which nothing else runs. MODE: shared or owned (nopv). The
# vCPUs share one host CPU.
. /tests/lib.sh
. /tests/steal/lib.sh
. /tests/eoi/lib.sh

CPU1=/sys/devices/system/cpu/cpu1/online
SWITCHES=/sys/module/kvmpv/parameters

native_eoi=""

switch() {
	echo "$2" > $SWITCHES/$1 && equal "$1" "$(cat $SWITCHES/$1)" "$2"
}

# Taken by its rating, and left by its rating. Before the first write to current_clocksource, which overrides ratings.
takes_and_leaves_the_clock() {
	equal current "$(current_clocksource)" kvmpv || return 1
	fails_with 'busy|unavailable' rmmod kvmpv || return 1
	switch clock_release 1 || return 1
	equal current "$(current_clocksource)" "$before" && equal rating "$(field clock/state rating)" 1 || return 1
	switch clock_release 0 && equal current "$(current_clocksource)" kvmpv || return 1
	available kvmpv
}

steal_hook_goes_and_comes() {
	steal_clock_is kvmpv_steal_clock && accounting_is 1 || return 1
	switch steal_hook 0 && steal_clock_is "$(native_clock)" && accounting_is "$(native_accounting)" || return 1
	switch steal_hook 1 && steal_clock_is kvmpv_steal_clock && accounting_is 1
}

eoi_hook_goes_and_comes() {
	equal callback "$(eoi_callback)" kvmpv_eoi || return 1
	switch eoi_hook 0 && equal callback "$(eoi_callback)" "$native_eoi" || return 1
	switch eoi_hook 1 && equal callback "$(eoi_callback)" kvmpv_eoi
}

guard_goes_and_comes() {
	equal path "$(field clock/state path)" stable || return 1
	switch clock_force_unstable 1 && equal path "$(field clock/state path)" guarded && rises_by_a_second || return 1
	switch clock_force_unstable 0 && equal path "$(field clock/state path)" stable && rises_by_a_second
}

halt_polling_goes_and_comes() {
	switch halt_poll 0 && switch halt_poll_accounting 1 && equal "CPU 1" "$(msr 1 0x4b564d05)" 0x0 || return 1
	grows cell halt_poll/cpus 0 wakeups && grows cell halt_poll/cpus 1 timers || return 1
	switch halt_poll 1 && switch halt_poll_accounting 0 && equal "CPU 1" "$(msr 1 0x4b564d05)" 0x1
}

# No host of the tests offers it by itself; tests/dialogue/migration.py has one that does.
migration_control_is_not_offered() {
	contains "$(cat $DEBUG/migration/control)" '^state +not offered$' &&
		equal msr "$(field migration/control msr)" - || return 1
	for text in 'hold 60' allow; do
		fails_with 'No such device' sh -c "echo $text > $DEBUG/migration/control" || return 1
	done
	fails_with nvalid sh -c "echo hold 601 > $DEBUG/migration/control"
}

tasks_are_charged() {
	switch steal_attribution 1 || return 1
	for hog in $hogs; do
		grows charged tasks pid "$hog" || return 1
	done
	parts_make_the_whole tasks && switch steal_attribution 0
}

slots() {
	/tests/msrs clock=0x4b564d01 steal=0x4b564d03 eoi=0x4b564d04 poll=0x4b564d05
}

cpu_goes_and_comes() {
	slots=$(slots)
	for round in 1 2 3; do
		echo 0 > $CPU1 && equal "rows of cpus" "$(awk 'NR > 2' $DEBUG/cpus | wc -l)" 1 || return 1
		echo 1 > $CPU1 && equal slots "$(slots)" "$slots" || return 1
		equal current "$(current_clocksource)" kvmpv || return 1
	done
	cpus_equal_msrs
}

# 6.1 has no trace event of such calls.
ipi_count_goes_and_comes() {
	case $(uname -r) in
	6.1.*) fails_with 'No such device' switch ipi_count 1 ;;
	*) switch ipi_count 1 && equal on "$(field ipi/count on)" yes && switch ipi_count 0 ;;
	esac
}

pairing_is_answered() {
	equal state "$(field clock/pairing state)" answered
}

begin=$(uptime_ms)
before=$(current_clocksource)
remember
native_eoi=$(eoi_callback)

# In owned mode the kernel takes it by the rating that it has anyway.
if [ "$MODE" = shared ]; then
	check loads load clock_rating=450
else
	check loads load
fi
for feature in clock steal eoi; do
	check mode_$feature equal mode "$(mode $feature)" "$MODE"
done
check cpus_equal_msrs
check takes_and_leaves_the_clock
check now_rises rises_by_a_second
check steal_hook_goes_and_comes
check eoi_hook_goes_and_comes
check halt_polling_goes_and_comes
check migration_control_is_not_offered
check guard_goes_and_comes
check hypercalls_as_the_kernel_has_said
check ipi_count_goes_and_comes
check pairing_is_answered
check cpu_goes_and_comes
# From here on a process takes three times as long.
start_hogs
check steal_is_accounted grows stat_steal ""
check steal_of_cpu_1_is_told grows steal_field 1 steal_ns
check ends_are_elided grows total_elided
check tasks_are_charged
stop_hogs
# Before a CPU that comes has a record of ours it answers by the guard: not_ready_reads.
for fault in torn_reads bad_shift_reads tsc_behind_reads; do
	check "no_$fault" equal $fault "$(field clock/state $fault)" 0
done
check releases switch clock_release 1
check unloads rmmod kvmpv
check everything_is_undone undone

# Once more, selected by its name.
check loads_again load
check selects select_clocksource kvmpv
check selects_another select_clocksource "$before"
check unloads_again rmmod kvmpv
check everything_is_undone_again undone
report "booted in $((begin / 1000)) s, took $((($(uptime_ms) - begin) / 1000)) s"
finish
