# SPDX-License-Identifier: GPL-2.0-only
#
# Steal time in the kernel's accounting: hooked and unhooked at load and at run time, below and above a second
# module, while CPUs go online and offline. MODE: shared or owned (nopv).
. /tests/lib.sh
. /tests/steal/lib.sh

CPU1=/sys/devices/system/cpu/cpu1/online

refuses_bad_parameter() {
	fails_with 'nvalid' load steal_hook=2 && undone
}

# Observing only: no hook of the kernel changes, and in shared mode no MSR.
observes_only() {
	load steal_hook=0 eoi_hook=0 || return 1
	equal mode "$(mode steal)" "$MODE" || return 1
	contains "$(reason steal)" 'observed only: disabled by the parameter steal_hook' || return 1
	hooks_but_the_clocks || return 1
	[ "$MODE" = owned ] || all_msrs | diff /tmp/msrs.before - || return 1
	grows steal_field 0 steal_ns && grows steal_field 1 steal_ns || return 1
	unload && undone
}

hooks_at_load() {
	steal_clock_is 'kvmpv_steal_clock \[kvmpv\]' || return 1
	accounting_is 1 || return 1
	equal hooked "$(field steal/hook hooked)" yes || return 1
	contains "$(reason steal)" '; hooked$'
}

# /proc/stat counts in ticks of 10 ms, rounded down, and a scheduler tick may come in between.
stat_is_ours() {
	for cpu in 0 1; do
		low=$(steal_field $cpu accounted_ns)
		ticks=$(stat_steal $cpu)
		high=$(steal_field $cpu steal_ns)
		within "steal of CPU $cpu" "$ticks" $((low / 10000000)) $((high / 10000000)) || return 1
	done
}

steal_grows() {
	for cpu in 0 1; do
		grows stat_steal $cpu || return 1
	done
}

# The parts of the steal since the reset add up to the whole.
bursts_are_the_sum() {
	echo 1 > $STEAL/reset || return 1
	reaches 10 steal_field 0 bursts && reaches 10 steal_field 1 bursts || return 1
	awk '
		FILENAME ~ /histogram/ { if (FNR > 2) { n[$1] += $4; low[$1] += $2 * $4; high[$1] += $3 * $4 } next }
		FNR == 2 { for (i = 1; i <= NF; i++) at[$i] = i }
		FNR > 2 {
			bursts = $at["bursts"]; sum = $at["burst_sum_ns"]; longest = $at["longest_ns"]; cpu = $1
			if (bursts < 10) { print "CPU " cpu ": only " bursts " bursts"; bad = 1 }
			if (longest > sum || longest * bursts < sum) { print "CPU " cpu ": longest " longest " of " sum; bad = 1 }
			if ($at["longest_time_ns"] <= 0 || $at["longest_comm"] == "-") { print "CPU " cpu ": whose?"; bad = 1 }
			if (n[cpu] > bursts || n[cpu] < 10) { print "CPU " cpu ": " n[cpu] " in the histogram of " bursts; bad = 1 }
			if (low[cpu] > sum) { print "CPU " cpu ": at least " low[cpu] " in the histogram, not " sum; bad = 1 }
			cpus++
		}
		END { exit bad || cpus != 2 }' $STEAL/histogram $STEAL/cpus
}

unhooks_and_hooks() {
	echo 0 > $STEAL/hook || return 1
	steal_clock_is "$(native_clock)" && accounting_is "$(native_accounting)" || return 1
	contains "$(reason steal)" 'observed only: unhooked$' || return 1
	grows steal_field 1 steal_ns || return 1
	if [ "$MODE" = shared ]; then
		grows stat_steal 1 || return 1
	else
		unaccounted=$(stat_steal 1)
		sleep 1
		equal "steal that nobody accounts" "$(stat_steal 1)" "$unaccounted" || return 1
	fi
	echo 1 > $STEAL/hook && hooks_at_load && steal_grows
}

# Each vCPU shares a host CPU with tasks that never sleep. So sooner or later CPU 1 waits while CPU 0 looks.
preempted_is_live() {
	tries=0
	while :; do
		taskset -c 0 cat $STEAL/cpus > /tmp/cpus || return 1
		equal "preempted, of the CPU that looks" "$(cell /tmp/cpus 0 preempted)" 0 || return 1
		[ "$(cell /tmp/cpus 1 preempted)" = 0 ] || break
		tries=$((tries + 1))
		[ $tries -le 100 ] || { echo "CPU 1 was never away"; return 1; }
	done
	equal "bit 0 of CPU 1's" $(($(cell /tmp/cpus 1 preempted) & 1)) 1
}

# CPU 1 goes offline and online all the time, so that it also does during hooking and unhooking. Once in some
# hundred rounds it has to go offline during the one and stay offline until the other.
hooks_while_a_cpu_goes() {
	rm -f /tmp/storm.end
	while [ ! -e /tmp/storm.end ]; do echo 0 > $CPU1; echo 1 > $CPU1; done &
	storm=$!
	bad=0
	for round in $(seq 60); do
		echo 0 > $STEAL/hook && echo 1 > $STEAL/hook || { echo "in round $round"; bad=1; break; }
	done
	touch /tmp/storm.end
	wait $storm
	[ $bad = 0 ] && hooks_at_load && steal_grows
}

refuses_nonsense() {
	for bad in 2 x 10 -1 ''; do
		fails_with 'nvalid' sh -c "echo '$bad' > $STEAL/hook" || return 1
		fails_with 'nvalid' sh -c "echo '$bad' > $STEAL/reset" || return 1
	done
	hooks_at_load
}

asked_on_top() {
	awk '{ print $2 }' /sys/kernel/debug/kvmpv_steal_on_top
}

# Another module comes after us and leaves before us.
stays_under_another() {
	insmod /kvmpv/kvmpv_steal_on_top.ko || return 1
	steal_clock_is 'kvmpv_steal_on_top_clock \[kvmpv_steal_on_top\]' && grows asked_on_top && steal_grows || return 1
	contains "$(reason steal)" '; hooked, below kvmpv_steal_on_top_clock' || return 1
	fails_with 'busy' sh -c "echo 0 > $STEAL/hook" || return 1
	steal_clock_is 'kvmpv_steal_on_top_clock \[kvmpv_steal_on_top\]' && accounting_is 1 || return 1
	rmmod kvmpv_steal_on_top && hooks_at_load && steal_grows
}

# We want to leave first: rmmod waits and says for whom, and the module above continues to ask us.
leaves_after_another() {
	insmod /kvmpv/kvmpv_steal_on_top.ko || return 1
	[ "$MODE" = shared ] || echo 1 > $DEBUG/clock/release || return 1
	rmmod kvmpv &
	leaving=$!
	tries=0
	until dmesg | tail -n 5 | grep -q 'kvmpv: steal: kvmpv_steal_on_top_clock .*sits on top'; do
		tries=$((tries + 1))
		[ $tries -le 100 ] || { echo "no word in the log"; return 1; }
		sleep 0.1
	done
	grows asked_on_top && steal_grows || return 1
	[ -d /proc/$leaving ] || { echo "rmmod has returned"; return 1; }
	contains "$(cat /proc/modules)" '^kvmpv ' || return 1
	rmmod kvmpv_steal_on_top && wait $leaving || return 1
	undone
}

# Another module was there before us. Nobody knows whether it asks the kernel's own clock, so in shared mode
# nothing is changed. A free slot is taken.
comes_after_another() {
	insmod /kvmpv/kvmpv_steal_on_top.ko && load || return 1
	if [ "$MODE" = shared ]; then
		equal mode "$(mode steal)" off || return 1
		contains "$(reason steal)" 'but it is not known whether by the kernel' || return 1
		steal_clock_is 'kvmpv_steal_on_top_clock \[kvmpv_steal_on_top\]' || return 1
		fails_with 'nvalid' sh -c "echo 1 > $STEAL/hook" || return 1
	else
		steal_clock_is 'kvmpv_steal_clock \[kvmpv\]' && steal_grows || return 1
	fi
	unload && steal_clock_is 'kvmpv_steal_on_top_clock \[kvmpv_steal_on_top\]' || return 1
	rmmod kvmpv_steal_on_top && undone
}

cpus_come_and_go() {
	slot=$(msr 1 0x4b564d03)
	for round in 1 2 3 4 5; do
		echo 0 > $CPU1 || return 1
		equal "rows" "$(awk 'NR > 2' $STEAL/cpus | wc -l)" 1 || return 1
		echo 1 > $CPU1 || return 1
		equal "slot of CPU 1" "$(msr 1 0x4b564d03)" "$slot" || return 1
		steal_grows || { echo "in round $round"; return 1; }
	done
	equal steps "$(steal_field 1 backward_steps)" 0 && equal steps "$(steal_field 1 forward_steps)" 0
}

# CPU 1 is offline while we load and while we unload.
cpu_is_away() {
	echo 0 > $CPU1 && load && hooks_at_load || return 1
	echo 1 > $CPU1 && steal_grows || return 1
	echo 0 > $CPU1 && unload && echo 1 > $CPU1 && undone
}

remember
start_hogs
start_watch
check refuses_bad_parameter
check observes_only
check loads load
check mode equal mode "$(mode steal)" "$MODE"
check hooks_at_load
check steal_grows
check stat_is_ours
check cpus_equal_msrs
check bursts_are_the_sum
check preempted_is_live
check refuses_nonsense
check unhooks_and_hooks
check stays_under_another
check cpus_come_and_go
check hooks_while_a_cpu_goes
check unloads unload
check everything_is_undone undone
check loads_again load
check leaves_after_another
check comes_after_another
check cpu_is_away
check proc_stat_never_lied watch_found_nothing 100
stop_hogs
finish
