# SPDX-License-Identifier: GPL-2.0-only
#
# The guest migrates to another QEMU, live and through a file, while timekeeping uses kvmpv, CPU 0 is idle and
# CPU 1 reads the clock without a pause. Then the module is unloaded and the guest migrates again: the host
# writes no memory that was freed. tests/host/life.py plays the host. MODE: shared or owned (nopv).
. /tests/lib.sh
. /tests/life/canary.sh

STATE=clock/state
ASLEEP=5

# Everything runs on CPU 1, so that CPU 0 stays halted.
taskset -p 2 $$ > /dev/null

# Puts what the reader has seen since the last time into $seen.
look() {
	kill -USR1 $reader
	read -r seen <&4
}

seen() {
	echo "$seen" | awk -v name="$1" '{ for (i = 2; i < NF; i += 2) if ($i == name) print $(i + 1) }'
}

# Busy and idle time, in ticks.
cpu0_time() {
	awk '$1 == "cpu0" { print $2 + $3 + $4, $5 }' /proc/stat
}

cpu0_was_idle() {
	within "busy ticks of CPU 0, of 100" $((($3 - $1) * 100 / ($3 - $1 + $4 - $2 + 1))) 0 20
}

# What a migration may leave in the events: the host says that the guest was paused, or the clock no longer fits
# the TSC, or both. Nothing else may have happened.
marks() {
	awk '$1 ~ /^events_(pause|jump_forward|jump_backward)$/ { sum += $2 } END { print sum }' $DEBUG/$STATE
}

# moves STILL_MS VERB ARGUMENT...: migrates. The guest is stopped for at least STILL_MS.
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
	# The clock continues where it was: it advances by the host's time less the time that the guest was
	# stopped. Its two reads lie between the two reads of the host's clock, whose rate may differ by up to
	# 500 ppm.
	within "ns that passed" "$(seen passed_ns)" 1000000 \
		$((passed_ms + passed_ms / 1000 + 1 - still_ms))000000 || return 1
	all_msrs | diff /tmp/msrs.moving - || return 1
	equal current "$(current_clocksource)" kvmpv || return 1
	# The CPU that sees it first makes an event. Another CPU makes none, or the other one of the two.
	counts_beyond disruptions "$disruptions" && each_cpu_looks || return 1
	cat $DEBUG/events >&2
	marks=$(($(marks) - marks))
	within "pauses and jumps" $marks 1 2 || return 1
	equal disruptions "$(field $STATE disruptions)" $((disruptions + marks)) || return 1
	look
	equal "steps back afterwards" "$(seen kernel_backward)" 0
}

begin clock
check selects select_clocksource kvmpv
wall=$(wall_clock_address)
check wall_clock_was_seen contains "$wall" '^0x[0-9a-f]*000$'
[ "$MODE" = shared ] || records=$(record_pages)
start_reader
# So that there is an earlier look with which a migration can be compared.
check each_cpu_looks
check moves_live moves 0 live
check is_restored_from_a_file moves ${ASLEEP}000 save $ASLEEP
check still_stable equal path "$(field $STATE path)" stable
check now_rises rises_by_a_second
kill $reader
hold $wall $records
held=$(wc -l < $CANARY)
# In owned mode CPU 0's clock record has a page of its own, and steal time has at least one page.
check pages_are_held within held "$held" $([ "$MODE" = shared ] && echo 1 1 || echo 4 5)
select_first_clocksource
check unloads rmmod kvmpv
check everything_is_undone undone
echo fill > $CANARY
check canary_can_die
echo fill > $CANARY
ask_host save 0
check nobody_writes_to_what_was_given_back canaries_live "$held"
check nothing_came_back undone
finish
