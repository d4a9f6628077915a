# SPDX-License-Identifier: GPL-2.0-only
#
# The clock by the deprecated MSRs, which is all that some hosts offer. The host keeps one address per vCPU,
# whichever MSR it came by. For a guest whose kernel has no kvmclock.
. /tests/lib.sh

slots_hold_addresses() {
	for cpu in 0 1; do
		contains "$(msr $cpu 0x12)" '^0x[0-9a-f]*[13579bdf]$' || return 1
		equal "CPU $cpu's clock_on" "$(cell cpus $cpu clock_on)" yes || return 1
	done
	! equal "CPU 1's slot" "$(msr 1 0x12)" "$(msr 0 0x12)"
}

begin clock legacy=1
check slots_hold_addresses
check status_names_the_cost contains "$(cat $DEBUG/status)" 'MSR 0x12 is in use, .*masterclock off'
check status_names_it_once equal lines "$(grep -c 'MSR 0x12' $DEBUG/status)" 1
check path_is_guarded equal path "$(field clock/state path)" guarded
check no_vdso equal vdso "$(field clock/state vdso)" no
check selects select_clocksource kvmpv
check now_rises rises_by_a_second
check agrees_with_the_rtc
select_first_clocksource
check unloads rmmod kvmpv
check everything_is_undone undone
# Back to the new MSRs, which unloading alone does not do.
check loads_without load
check masterclock_is_back equal path "$(field clock/state path)" stable
check unloads_again rmmod kvmpv
check everything_is_undone_again undone
finish
