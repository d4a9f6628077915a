# SPDX-License-Identifier: GPL-2.0-only
#
# The host (tests/host/steal_host.py) sets steal to 0 and to 2^63, and leaves the version odd. /proc/stat never goes
# back and never shows more than the elapsed time, not even after rmmod. Not by run.sh, which keeps the output until
# the end. MODE: shared or owned (nopv).
. /tests/lib.sh
. /tests/steal/lib.sh

record_of() {
	cell cpus "$1" steal_pa
}

events_of() {
	awk -v name="$1" -v cpu="$2" '$4 == name && $3 == cpu' $DEBUG/events | wc -l
}

# appears EVENT CPU COUNT: waits for that many events. The next look is at most a second away.
appears() {
	tries=0
	until [ "$(events_of "$1" "$2")" -eq "$3" ]; do
		tries=$((tries + 1))
		[ $tries -le 300 ] || { cat $DEBUG/events; echo "no $1"; return 1; }
		sleep 0.1
	done
}

both_grow() {
	for cpu in 0 1; do
		grows stat_steal $cpu && grows steal_field $cpu steal_ns || return 1
	done
}

back_to_zero() {
	before_ms=$(uptime_ms)
	raw_ns=$(steal_field 0 raw_ns)
	carry_ns=$(steal_field 0 carry_ns)
	ask_host set "$(record_of 0)" steal 0
	appears steal_backward 0 1 || return 1
	# The value of the record at the step, less what was added between the step and the next look.
	step_ns=$(last_value steal_backward)
	passed_ns=$(($(uptime_ms) - before_ms + 500))000000
	within "size of the step" "$step_ns" $((raw_ns - passed_ns)) $((raw_ns + passed_ns)) || return 1
	equal "what is carried" $(($(steal_field 0 carry_ns) - carry_ns)) "$step_ns" || return 1
	both_grow
}

# 2^63 ns are 292 years.
ahead_by_years() {
	before_ms=$(uptime_ms)
	before_ns=$(steal_field 1 steal_ns)
	ask_host set "$(record_of 1)" steal 0x8000000000000000
	appears steal_forward 1 1 || return 1
	within "size of the step" "$(last_value steal_forward)" 9223372000000000000 9223372036854775807 || return 1
	after_ns=$(steal_field 1 steal_ns)
	passed_ns=$(($(uptime_ms) - before_ms + 500))000000
	within "steal of CPU 1" "$after_ns" "$before_ns" $((before_ns + passed_ns)) || return 1
	both_grow
}

and_back_again() {
	ask_host set "$(record_of 1)" steal 1000
	appears steal_backward 1 1 && both_grow
}

# KVM makes an odd version even and writes the record whenever it runs the vCPU again. A host with one CPU has to
# do that between its write and the guest's next look, so there the guest never sees an odd version. A clock that
# did would stand still (kunit/steal_test.cc).
left_odd() {
	for tear in $(seq 20); do
		ask_host tear "$(record_of 0)"
		ask_host tear "$(record_of 1)"
	done
	ask_host set "$(record_of 0)" version 0xffffffff
	ask_host set "$(record_of 1)" version 1
	both_grow
}

# The new threads start with a run delay of their own, which KVM adds to the value in the record.
migrates() {
	ask_host migrate
	both_grow
}

# A step right before rmmod, back on one CPU and ahead on the other. Native reads these records afterwards.
unloads_after_steps() {
	first=$(record_of 0)
	second=$(record_of 1)
	ask_host set "$first" steal 0
	ask_host set "$second" steal 0x4000000000000000
	unload && steal_undone || return 1
	if [ "$MODE" = shared ]; then
		grows stat_steal 0 && grows stat_steal 1 || return 1
	fi
	sleep 10
}

# The next load starts at the healed value.
loads_once_more() {
	load && both_grow || return 1
	for cpu in 0 1; do
		equal "steps back of CPU $cpu" "$(steal_field $cpu backward_steps)" 0 || return 1
		equal "steps ahead of CPU $cpu" "$(steal_field $cpu forward_steps)" 0 || return 1
		[ "$MODE" = owned ] || equal "carry of CPU $cpu" "$(steal_field $cpu carry_ns)" 0 || return 1
	done
	unload && steal_undone
}

start_hogs
begin steal
check both_grow
start_watch
check back_to_zero
check ahead_by_years
check and_back_again
check left_odd
check migrates
check unloads_after_steps
check loads_once_more
check proc_stat_never_lied watch_found_nothing 100
stop_hogs
finish
