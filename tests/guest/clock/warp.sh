# SPDX-License-Identifier: GPL-2.0-only
#
# A thread on each CPU calls kvmpv's read callback. Time never goes back, neither on one CPU nor between CPUs: while
# nothing else happens, while CPUs go offline and online, and while the guard is switched on and off. MODE: shared or
# owned (nopv). EXPECT_PATH: stable or guarded.
. /tests/lib.sh
. /tests/clock/warp_lib.sh

EXPECT_PATH=${EXPECT_PATH:-stable}
STORMS=5
SWITCHES=20

# Proves that the test finds a step back.
finds_own_steps() {
	start_warp stutter 100000 && equal "own steps" "$(steps own_steps 100000)" $((CPUS * 100))
}

finds_steps_across() {
	start_warp skewed $READS && within "steps across CPUs" "$(steps across_steps $READS)" 1 $((CPUS * READS))
}

undisturbed() {
	start_warp kvmpv $READS && no_steps
}

cpus_go_and_come() {
	round=1
	while [ $round -le $STORMS ]; do
		cpu=1
		while [ $cpu -lt "$CPUS" ]; do
			echo 0 > /sys/devices/system/cpu/cpu$cpu/online || return 1
			[ $((round % 2)) = 0 ] || echo 1 > /sys/devices/system/cpu/cpu$cpu/online || return 1
			cpu=$((cpu + 1))
		done
		# In every second round all CPUs but CPU 0 are offline at once.
		[ $((round % 2)) = 1 ] || equal "online CPUs" "$(online_cpus)" 1 || return 1
		cpu=1
		while [ $cpu -lt "$CPUS" ]; do
			[ $((round % 2)) = 1 ] || echo 1 > /sys/devices/system/cpu/cpu$cpu/online || return 1
			cpu=$((cpu + 1))
		done
		round=$((round + 1))
	done
}

in_a_storm() {
	start_warp kvmpv 0 && cpus_go_and_come && echo "goal $READS" > $BENCH/warp && no_steps &&
		within "reads of threads whose CPU was away" "$(steps away $READS)" 1 1000000000000
}

switches() {
	i=1
	while [ $i -le $SWITCHES ]; do
		echo 1 > $DEBUG/clock/force_unstable || return 1
		equal path "$(field clock/state path)" guarded || return 1
		echo 0 > $DEBUG/clock/force_unstable || return 1
		equal path "$(field clock/state path)" "$EXPECT_PATH" || return 1
		i=$((i + 1))
	done
}

while_switched() {
	start_warp kvmpv 0 && switches && echo "goal $READS" > $BENCH/warp && no_steps
}

# In user space: the kernel's vDSO code, which reads only CPU 0's record.
user_space() {
	result=$(/tests/clock_warp $READS) || return 1
	report "user space: $result"
	[ "$MODE $EXPECT_PATH" != "shared stable" ] || contains "$result" 'own_steps 0 across_steps 0 '
}

native=$(current_clocksource)
insmod /kvmpv/kvmpv_bench.ko
begin clock
check selects select_clocksource kvmpv
check path equal path "$(field clock/state path)" "$EXPECT_PATH"
check finds_own_steps
check finds_steps_across
check undisturbed
check in_a_storm
check while_switched
# Not by `check`, because `report` has no effect in a subshell.
user_space
check user_space "[" $? = 0 "]"
check no_broken_promise equal stable_revoked "$(field clock/state stable_revoked)" no
select_clocksource "$native"
rmmod kvmpv_bench
end
