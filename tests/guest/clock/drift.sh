# SPDX-License-Identifier: GPL-2.0-only
#
# clock/drift reads the devices and shows what a read costs, and the devices agree with our clock within the
# bounds that are shown. MODE: shared or owned (nopv). The host must not change the guest's clock meanwhile.
. /tests/lib.sh

DEVICES='hpet acpi_pm rtc monotonic_raw host_realtime'
# Without kvm-clock the kernel cannot calibrate the TSC in a guest without a reliable PIT.
[ "$MODE" = shared ] && DEVICES="tsc $DEVICES"

look() {
	cat $DEBUG/clock/drift > /tmp/drift
}

# drift_of CLOCK NAME: a value of the copy in /tmp/drift.
drift_of() {
	cell /tmp/drift "$@"
}

all_are_there() {
	for clock in $DEVICES; do
		equal "$clock present" "$(drift_of $clock present)" yes || return 1
	done
	equal rows "$(wc -l < /tmp/drift)" 8
}

# What the file says about each clock is true within the error that it states plus 500 ppm. By that much at
# most NTP slews some of the host's clocks and not others.
within_the_bounds() {
	for clock in $DEVICES; do
		elapsed=$(drift_of $clock elapsed_ns)
		error=$(drift_of $clock error_ns)
		within "$clock elapsed_ns" "$elapsed" "$1" 600000000000 || return 1
		most=$((error + elapsed / 2000))
		within "$clock offset_ns" "$(drift_of $clock offset_ns)" -$most $most || return 1
		# The error comes from two looks, each delayed by a few scheduler ticks at most. The RTC
		# shows whole seconds.
		[ $clock = rtc ] && limit=1100000000 || limit=40000000
		within "$clock error_ns" "$error" 1 $limit || return 1
		rate=$(drift_of $clock rate_ppb)
		expected=$(($(drift_of $clock offset_ns) * 1000000 / (elapsed / 1000)))
		# The microseconds that were cut off above are at most one millionth.
		most=$((${expected#-} / 1000000 + 2))
		within "$clock rate_ppb" "$rate" $((expected - most)) $((expected + most)) || return 1
	done
}

# Reading a device is an exit, which takes at least half as long as CPUID. Reading the kernel's clock is none.
# The host may interrupt a single look, in what it measures or in the CPUID.
costs_are_shown() {
	for look in 1 2 3 4 5; do
		look
		for clock in hpet acpi_pm rtc monotonic_raw; do
			echo $clock "$(drift_of $clock cpuid_exits)"
		done
	done > /tmp/costs
	for clock in hpet acpi_pm rtc; do
		within "$clock cpuid_exits" "$(sort -n -k 2 /tmp/costs | awk -v clock=$clock '$1 == clock { most = $2 }
			END { print most }')" 1 100000 || return 1
	done
	equal 'monotonic_raw cpuid_exits' "$(sort -n -k 2 /tmp/costs | awk '$1 == "monotonic_raw" { print $2; exit }')" 0
}

# By now this script or an earlier one has written current_clocksource.
unload() {
	select_first_clocksource && rmmod kvmpv
}

begin clock
# Otherwise CLOCK_MONOTONIC_RAW might be as slow as hpet, which an earlier script may have selected.
check selects select_clocksource kvmpv
look
check all_are_there
check costs_are_shown
sleep 5
look
check within_the_bounds within_the_bounds 5000000000
# acpi_pm wraps after 4.7 s, so between looks this far apart it cannot be read like a clock.
sleep 7
look
check within_the_bounds_later within_the_bounds 12000000000
# The next load starts anew.
check unloads unload
before_ms=$(uptime_ms)
check loads_again load
look
check begins_anew within 'elapsed_ns' "$(drift_of hpet elapsed_ns)" 1 $(($(uptime_ms) - before_ms + 11))000000
check unloads_again unload
check everything_is_undone undone
finish
