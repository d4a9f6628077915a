# SPDX-License-Identifier: GPL-2.0-only
#
# CPUs go offline and come back while timekeeping uses kvmpv. MODE: shared or owned (nopv).
. /tests/lib.sh

ROUNDS=20
CPU1=/sys/devices/system/cpu/cpu1/online

# A CPU that has come back has its own record again, in its own slot.
cpu1_is_registered() {
	equal clock_on "$(cell cpus 1 clock_on)" yes &&
		equal "slot of CPU 1" "$(msr 1 0x4b564d01)" "$slot"
}

storm() {
	slot=$(msr 1 0x4b564d01)
	first=$(field clock/state now_ns)
	round=1
	while [ $round -le $ROUNDS ]; do
		echo 0 > $CPU1 || return 1
		equal "online CPUs" "$(online_cpus)" 1 || return 1
		equal "rows of cpus" "$(awk 'NR > 2' $DEBUG/cpus | wc -l)" 1 || return 1
		echo 1 > $CPU1 || return 1
		cpu1_is_registered || { echo "in round $round"; return 1; }
		equal current "$(current_clocksource)" kvmpv || return 1
		next=$(field clock/state now_ns)
		[ "$next" -gt "$first" ] || { echo "$next after $first ns in round $round"; return 1; }
		first=$next
		round=$((round + 1))
	done
}

# Loaded while CPU 1 is offline: the CPU gets its record when it comes online.
late_cpu() {
	echo 0 > $CPU1 && load && select_clocksource kvmpv && echo 1 > $CPU1 || return 1
	slot=$(msr 1 0x4b564d01)
	lacks "$slot" '^0x0$' && cpu1_is_registered
}

# Readers run on all CPUs during the hotplug storm.
start_readers() {
	for reader in 1 2; do
		while :; do
			cat /proc/uptime > /dev/null
		done &
	done
}

begin clock
check selects select_clocksource kvmpv
start_readers
check "storm_of_$ROUNDS" storm
kill %1 %2
select_first_clocksource
check unloads rmmod kvmpv
check everything_is_undone undone
check late_cpu
select_first_clocksource
check unloads_again rmmod kvmpv
check everything_is_undone_again undone
finish
