# SPDX-License-Identifier: GPL-2.0-only
#
# Suspend to RAM and back under contention, while the kernel asks our steal clock. The host wakes the guest
# (tests/host/wake.py). MODE: shared or owned (nopv).
. /tests/lib.sh
. /tests/steal/lib.sh

sleeps_and_wakes() {
	slots=$(rdmsr -a -c 0x4b564d03)
	echo mem > /sys/power/state || return 1
	equal slots "$(rdmsr -a -c 0x4b564d03)" "$slots" || return 1
	for cpu in 0 1; do
		grows stat_steal $cpu && grows steal_field $cpu steal_ns || return 1
		equal "steps of CPU $cpu" "$(steal_field $cpu backward_steps)" 0 || return 1
	done
}

start_hogs
begin steal
start_watch
for time in first second third; do
	check "sleeps_and_wakes_$time" sleeps_and_wakes
done
check proc_stat_never_lied watch_found_nothing 10
stop_hogs
end
