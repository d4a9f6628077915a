# SPDX-License-Identifier: GPL-2.0-only
#
# What the host does to the clock becomes an event, and the switch force_unstable works.
# tests/host/clock_chaos.py plays the host. MODE: shared or owned (nopv). In shared mode it does only what
# the kernel's own clock survives, because that hangs on a torn record.
. /tests/lib.sh

STATE=clock/state

record_of() {
	cell cpus "$1" clock_pa
}

now_on() {
	taskset -c "$1" awk '$1 == "now_ns" { print $2 }' $DEBUG/$STATE
}

# COUNT reads on both CPUs in turns, which takes longer than the sampler needs.
never_goes_back() {
	previous=0
	reads=0
	until [ $reads -ge "$1" ]; do
		for cpu in 0 1; do
			now=$(now_on $cpu)
			if [ "$now" -lt "$previous" ]; then
				echo "CPU $cpu: $now after $previous, $((previous - now)) ns back"
				return 1
			fi
			previous=$now
		done
		reads=$((reads + 2))
	done
}

path_is() {
	equal path "$(field $STATE path)" "$1" && equal vdso "$(field $STATE vdso)" "$2"
}

nothing_has_happened() {
	each_cpu_looks && each_cpu_looks || return 1
	equal disruptions "$(field $STATE disruptions)" 0 &&
		equal totals "$(sed -n 2p $DEBUG/events)" 'events 0 lost 0'
}

force() {
	echo "$1" > $DEBUG/clock/force_unstable
}

force_0() {
	sh -c "echo 0 > $DEBUG/clock/force_unstable"
}

refuses_nonsense() {
	for bad in 2 x 10 -1; do
		fails_with 'nvalid' sh -c "echo $bad > $DEBUG/clock/force_unstable" || return 1
	done
	path_is stable $vdso
}

forces() {
	force 1 && path_is guarded no && equal forced "$(field $STATE forced_unstable)" yes &&
		never_goes_back 40 && equal guard_forced "$(field $STATE events_guard_forced)" 1
}

# Only the guard makes the difference: CPU 1's record is a second behind.
guard_holds() {
	held=$(field $STATE held_back_reads)
	ask_host set "$(record_of 1)" system_time -1000000000
	never_goes_back 40 || return 1
	within held_back_reads $(($(field $STATE held_back_reads) - held)) 20 1000000 || return 1
	# It may be less by the time between two reads, and more by the time for which a vCPU was preempted in one.
	within held_back_max_ns "$(field $STATE held_back_max_ns)" 900000000 1100000000 || return 1
	counts_beyond events_jump_backward 0 || return 1
	fails_with 'busy' force_0 || return 1
	ask_host mend "$(record_of 1)"
	counts_beyond events_jump_forward 0 || return 1
	equal jump_backward "$(last_value jump_backward)" 1000000000 &&
		equal jump_forward "$(last_value jump_forward)" 1000000000
}

# A record that is 31 years ahead is not believed. The clock continues at its old rate, and does not stand still
# when the record is right again.
too_far_ahead() {
	far_reads=$(field $STATE too_far_ahead_reads)
	ask_host set "$(record_of 1)" system_time +1000000000000000000
	counts_beyond too_far_ahead_reads "$far_reads" || return 1
	for cpu in 0 1 0 1; do
		begin=$(now_on $cpu)
		sleep 1 # does not end if the clock stands still
		within "a second on CPU $cpu" $(($(now_on $cpu) - begin)) 990000000 4000000000 || return 1
	done
	never_goes_back 40 && fails_with 'busy' force_0 && path_is guarded no || return 1
	ask_host mend "$(record_of 1)"
	far_reads=$(field $STATE too_far_ahead_reads)
	never_goes_back 40 && equal too_far_ahead_reads "$(field $STATE too_far_ahead_reads)" "$far_reads"
}

goes_back() {
	force 0 && path_is stable $vdso && never_goes_back 40 &&
		equal guard_released "$(field $STATE events_guard_released)" 1
}

# There is one event, from the CPU that saw it first, and its length is what the host says.
pause_is_one_event() {
	before=$(field $STATE disruptions)
	ask_host stop 3
	echo "$answer" > /tmp/pause
	counts_beyond disruptions "$before" && each_cpu_looks || return 1
	equal disruptions "$(field $STATE disruptions)" $((before + 1)) &&
		within pause_ns "$(last_value pause)" "${answer% *}" "${answer#* }"
}

# drift_of CLOCK NAME: a value of the copy in /tmp/drift.
drift_of() {
	cell /tmp/drift "$@"
}

# offset_is CLOCK LEAST MOST: within the stated error and 500 ppm, NTP's largest slew.
offset_is() {
	give=$(($(drift_of "$1" error_ns) + $(drift_of "$1" elapsed_ns) / 2000))
	within "$1 offset_ns" "$(drift_of "$1" offset_ns)" $(($2 - give)) $(($3 + give))
}

# While a machine is stopped, its devices stand still like its clock. But QEMU stops and starts them one after
# the other, in the time by which the host's two bounds of the pause differ. The time of day and the TSC
# continue.
drift_shows_the_pause() {
	cat $DEBUG/clock/drift > /tmp/drift
	read -r least most < /tmp/pause
	apart=$((most - least))
	offset_is hpet -$apart $apart && offset_is acpi_pm -$apart $apart || return 1
	offset_is rtc "$least" "$most" || return 1
	[ "$(drift_of tsc present)" = no ] || offset_is tsc "$least" "$most"
}

rate_changes() {
	multiplier=$(cell cpus 1 tsc_to_system_mul)
	ask_host set "$(record_of 1)" tsc_to_system_mul +10
	counts_beyond events_rate_changed 0 || return 1
	equal rate_changed_ppb "$(last_value rate_changed)" \
		$(((multiplier + 10) * 1000000000 / multiplier - 1000000000)) || return 1
	ask_host mend "$(record_of 1)"
	counts_beyond events_rate_changed 1 && path_is stable $vdso
}

# By a kprobe: what runs on CPU 0 after another CPU has seen a change.
watch_wakes() {
	echo 'p:kvmpv_woken kvmpv:woken' > $TRACING/kprobe_events
	echo 1 > $TRACING/events/kprobes/kvmpv_woken/enable
}

wakes() {
	grep -c "$1.* kvmpv_woken: " $TRACING/trace
}

# Each change of CPU 1's record that a look has seen wakes CPU 0, and nothing else does. Where user space makes a
# system call instead of reading CPU 0's record, CPU 0 is left alone.
change_wakes_cpu_0() {
	watch_wakes
	before=$(field $STATE cpu0_wakes)
	each_cpu_looks && each_cpu_looks || return 1
	equal wakes_without_a_change "$(wakes '')" 0 || return 1
	changes=$(field $STATE events_rate_changed)
	ask_host set "$(record_of 1)" tsc_to_system_mul +10
	counts_beyond events_rate_changed "$changes" || return 1
	ask_host mend "$(record_of 1)"
	counts_beyond events_rate_changed $((changes + 1)) || return 1
	# The wake-up comes after the look that has counted the event.
	if [ $vdso = yes ]; then
		wanted=2
		counts_beyond cpu0_wakes $((before + 1)) || return 1
	else
		wanted=0
		each_cpu_looks || return 1
	fi
	equal cpu0_wakes "$(field $STATE cpu0_wakes)" $((before + wanted)) || return 1
	equal wakes_on_cpu_0 "$(wakes '\[000\]')" $wanted && equal wakes "$(wakes '')" $wanted || return 1
	echo 0 > $TRACING/events/kprobes/kvmpv_woken/enable
	echo > $TRACING/kprobe_events
}

# A record without the promise is read under the guard, whatever the other records say.
flag_comes_and_goes() {
	ask_host set "$(record_of 1)" flags 0
	counts_beyond events_stable_lost 0 && never_goes_back 40 || return 1
	# User space reads CPU 0's record only.
	path_is guarded $vdso || return 1
	ask_host mend "$(record_of 1)"
	counts_beyond events_stable_gained 0 && never_goes_back 40 || return 1
	equal stable_lost "$(field $STATE events_stable_lost)" 1 &&
		equal stable_gained "$(field $STATE events_stable_gained)" 1 && path_is stable $vdso
}

# What status says holds now, and not what held at load.
status_follows_the_flag() {
	[ $vdso = no ] || contains "$(cat $DEBUG/status)" 'vdso: user space reads' || return 1
	ask_host set "$(record_of 0)" flags 0
	path_is guarded no && contains "$(cat $DEBUG/status)" '^kvmpv .* guarded ' || return 1
	[ $vdso = no ] || contains "$(cat $DEBUG/status)" 'vdso: by system call: the host has withdrawn its promise' || return 1
	ask_host mend "$(record_of 0)"
	path_is stable $vdso
}

# There is one event, however long the record stays torn. The record is also torn for a moment while the host
# writes a field, and a read may have met that before.
torn_for_ever() {
	before=$(field $STATE events_record_torn)
	ask_host tear "$(record_of 1)"
	never_goes_back 60 && counts_beyond events_record_torn "$before" || return 1
	within torn_reads "$(field $STATE torn_reads)" 30 1000000 || return 1
	equal events_record_torn "$(field $STATE events_record_torn)" $((before + 1)) || return 1
	ask_host mend "$(record_of 1)"
	never_goes_back 40 && path_is stable $vdso
}

timestamp_ahead() {
	ask_host set "$(record_of 1)" tsc_timestamp +1000000000000000
	never_goes_back 60 && counts_beyond events_tsc_behind 0 || return 1
	within ticks_ahead "$(last_value tsc_behind)" 900000000000000 1000000000000000 || return 1
	within tsc_behind_reads "$(field $STATE tsc_behind_reads)" 30 1000000 || return 1
	ask_host mend "$(record_of 1)"
	never_goes_back 40 && path_is stable $vdso
}

# 100 us is less than the time between two looks, but not less than they can detect.
promise_is_revoked() {
	# From a record that can be read, or there would be no jump.
	each_cpu_looks || return 1
	ask_host set "$(record_of 1)" system_time +100000
	counts_beyond events_stable_revoked 0 || return 1
	within disagreement_ns "$(last_value stable_revoked)" 99990 100010 || return 1
	within jump_ns "$(last_value jump_forward)" 99998 100002 || return 1
	equal stable_revoked "$(field $STATE stable_revoked)" yes || return 1
	path_is guarded no && never_goes_back 40 || return 1
	fails_with 'busy' force_0 || return 1
	path_is guarded no && contains "$(dmesg)" 'kvmpv: clock: CPU . is .* off what other CPUs show'
}

sequence_has_no_hole() {
	awk 'NR == 2 { total = $2 } NR > 3 && $1 != NR - 3 { bad = 1 } END { exit bad || total != NR - 3 }' \
		$DEBUG/events
}

[ "$MODE" = owned ] && vdso=no || vdso=yes
begin clock
check selects select_clocksource kvmpv
check nothing_has_happened
# This comes first, because after it a second can be subtracted from system_time.
check pause_is_one_event
check drift_shows_the_pause
check refuses_nonsense
check forces
if [ "$MODE" = owned ]; then
	check guard_holds
	check too_far_ahead
fi
check goes_back
check rate_changes
check change_wakes_cpu_0
check flag_comes_and_goes
check status_follows_the_flag
if [ "$MODE" = owned ]; then
	check torn_for_ever
	check timestamp_ahead
fi
check promise_is_revoked
check sequence_has_no_hole
cat $DEBUG/events >&2
end
