# SPDX-License-Identifier: GPL-2.0-only
#
# clock/drift: the devices are read, agree with our clock within the bounds that are shown, and what
# reading them costs is shown. MODE: shared or owned (nopv). Needs a guest whose host leaves its clock
# alone.
. /tests/lib.sh

MODE=${MODE:-shared}
DEVICES='hpet acpi_pm rtc monotonic_raw'
# A kernel without kvm-clock cannot find out the TSC's rate in a guest that has no PIT to rely on.
[ "$MODE" = shared ] && DEVICES="tsc $DEVICES"

look() {
	cat $DEBUG/clock/drift > /tmp/drift
}

# drift_of CLOCK NAME, of the look in /tmp/drift.
drift_of() {
	cell /tmp/drift "$@"
}

all_are_there() {
	for clock in $DEVICES; do
		equal "$clock present" "$(drift_of $clock present)" yes || return 1
	done
	equal rows "$(wc -l < /tmp/drift)" 7
}

# What the file says of each clock is true within the bound that it states, and NTP's largest slew,
# 500 ppm, by which a host steers some of its clocks and not others.
within_the_bounds() {
	for clock in $DEVICES; do
		elapsed=$(drift_of $clock elapsed_ns)
		error=$(drift_of $clock error_ns)
		within "$clock elapsed_ns" "$elapsed" "$1" 600000000000 || return 1
		most=$((error + elapsed / 2000))
		within "$clock offset_ns" "$(drift_of $clock offset_ns)" -$most $most || return 1
		# The looks themselves: two of them, each held up for some scheduler's ticks at most; the
		# RTC shows whole seconds.
		[ $clock = rtc ] && limit=1100000000 || limit=40000000
		within "$clock error_ns" "$error" 1 $limit || return 1
		rate=$(drift_of $clock rate_ppb)
		expected=$(($(drift_of $clock offset_ns) * 1000000 / (elapsed / 1000)))
		# The microseconds cut off above are a millionth at most.
		most=$((${expected#-} / 1000000 + 2))
		within "$clock rate_ppb" "$rate" $((expected - most)) $((expected + most)) || return 1
	done
}

# A device costs an exit, hence at least as much as half a CPUID; the kernel's clock none. A single look may
# have been interrupted by the host, in what it measures or in the CPUID.
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

# Whoever is current has been named by then, by this script or an earlier one.
unload() {
	select_first_clocksource && rmmod kvmpv
}

remember
check loads load
check mode equal mode "$(mode clock)" "$MODE"
# Or CLOCK_MONOTONIC_RAW costs what the current clocksource does: an earlier script may have named hpet.
check selects select_clocksource kvmpv
look
check all_are_there all_are_there
check costs_are_shown costs_are_shown
sleep 5
look
check within_the_bounds within_the_bounds 5000000000
# acpi_pm goes round in 4.7 s, so that this many looks apart it cannot be read like a clock.
sleep 7
look
check within_the_bounds_later within_the_bounds 12000000000
# The next load begins anew.
check unloads unload
before_ms=$(uptime_ms)
check loads_again load
look
check begins_anew within 'elapsed_ns' "$(drift_of hpet elapsed_ns)" 1 $(($(uptime_ms) - before_ms + 11))000000
check unloads_again unload
check everything_is_undone undone
finish
