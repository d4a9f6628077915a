# SPDX-License-Identifier: GPL-2.0-only
#
# Suspend to RAM and back, three times, while timekeeping uses kvmpv. The host wakes the guest
# (tests/host/wake.py). MODE: shared or owned (nopv).
. /tests/lib.sh

sleeps_and_wakes() {
	slots=$(rdmsr -a -c 0x4b564d01)
	before_ns=$(field clock/state now_ns)
	echo mem > /sys/power/state || return 1
	after_ns=$(field clock/state now_ns)
	equal slots "$(rdmsr -a -c 0x4b564d01)" "$slots" || return 1
	equal current "$(current_clocksource)" kvmpv || return 1
	[ "$after_ns" -gt "$before_ns" ] || { echo "$after_ns after $before_ns ns"; return 1; }
	equal "rows with a record" "$(awk 'NR > 2 && $13 == "yes" && $15 > 0' $DEBUG/cpus | wc -l)" \
		"$(online_cpus)"
}

begin clock
check selects select_clocksource kvmpv
for time in first second third; do
	check "sleeps_and_wakes_$time" sleeps_and_wakes
done
check really_slept equal "suspends in the log" "$(dmesg | grep -c 'PM: suspend exit')" 3
check now_rises rises_by_a_second
end
