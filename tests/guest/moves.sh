# SPDX-License-Identifier: GPL-2.0-only
#
# The guest moves to another QEMU, live and by way of a file, while the kernel's time is read from
# kvmpv, CPU 0 is idle and CPU 1 reads the clock without a pause. Then the module goes, and the guest
# moves again: the host writes to nothing that was given back. tests/host/life.py plays the host.
# MODE: shared or owned (nopv).
. /tests/lib.sh
. /tests/canary.sh

MODE=${MODE:-shared}
STATE=clock/state
ASLEEP=5

# Everything on CPU 1, so that CPU 0 stays halted.
taskset -p 2 $$ > /dev/null

# What the reader has seen since the last look, into $seen.
look() {
	kill -USR1 $reader
	read -r seen <&4
}

seen() {
	echo "$seen" | awk -v name="$1" '{ for (i = 2; i < NF; i += 2) if ($i == name) print $(i + 1) }'
}

# Busy and idle, in ticks.
cpu0_time() {
	awk '$1 == "cpu0" { print $2 + $3 + $4, $5 }' /proc/stat
}

cpu0_was_idle() {
	within "busy ticks of CPU 0, of 100" $((($3 - $1) * 100 / ($3 - $1 + $4 - $2 + 1))) 0 20
}

# How a move shows in the events: the host says that the guest was paused, the clock does not fit the
# TSC any more, or both; and nothing else has happened.
marks() {
	awk '$1 ~ /^events_(pause|jump_forward|jump_backward)$/ { sum += $2 } END { print sum }' $DEBUG/$STATE
}

# moves STILL_MS VERB ARGUMENT...: STILL_MS: for so long at least the guest stands still.
moves() {
	still_ms=$1
	shift
	all_msrs > /tmp/msrs.moving
	disruptions=$(field $STATE disruptions)
	marks=$(marks)
	cpu0_before=$(cpu0_time)
	ask_host now
	began_ms=$answer
	look
	ask_host "$@"
	took_ms=$answer
	look
	ask_host now
	passed_ms=$((answer - began_ms))
	cpu0_after=$(cpu0_time)
	echo "# $*: $took_ms of $passed_ms ms; $seen" >&3
	cpu0_was_idle $cpu0_before $cpu0_after || return 1
	within "reads" "$(seen kernel_reads)" 10000 1000000000 || return 1
	equal "steps back" "$(seen kernel_backward)" 0 || return 1
	# The clock goes on where it was: what passed is what passed on the host, less what the guest
	# stood still. The two looks lie between the two at the host's clock, whose rate may be another by
	# up to 500 ppm.
	within "ns that passed" "$(seen passed_ns)" 1000000 \
		$((passed_ms + passed_ms / 1000 + 1 - still_ms))000000 || return 1
	all_msrs | diff /tmp/msrs.moving - || return 1
	equal current "$(current_clocksource)" kvmpv || return 1
	# Whoever sees it first has an event of it, and the others none, or the other of the two.
	counts_beyond disruptions "$disruptions" && each_cpu_looks || return 1
	cat $DEBUG/events >&2
	marks=$(($(marks) - marks))
	within "pauses and jumps" $marks 1 2 || return 1
	equal disruptions "$(field $STATE disruptions)" $((disruptions + marks)) || return 1
	look
	equal "steps back afterwards" "$(seen kernel_backward)" 0
}

remember
check loads load
check mode equal mode "$(mode clock)" "$MODE"
check selects select_clocksource kvmpv
wall=$(wall_clock_address)
check wall_clock_was_seen contains "$wall" '^0x[0-9a-f]*000$'
[ "$MODE" = shared ] || records=$(record_pages)
start_reader
# Or there is nothing to tell a move from.
check each_cpu_looks each_cpu_looks
check moves_live moves 0 live
check is_restored_from_a_file moves ${ASLEEP}000 save $ASLEEP
check still_stable equal path "$(field $STATE path)" stable
check now_rises rises_by_a_second
kill $reader
hold $wall $records
held=$(wc -l < $CANARY)
# Owned: CPU 0's clock record is alone on its page, and steal time has at least one.
check pages_are_held within held "$held" $([ "$MODE" = shared ] && echo 1 1 || echo 4 5)
select_first_clocksource
check unloads rmmod kvmpv
check everything_is_undone undone
echo fill > $CANARY
check canary_can_die canary_can_die
echo fill > $CANARY
ask_host save 0
check nobody_writes_to_what_was_given_back canaries_live "$held"
check nothing_came_back undone
finish
