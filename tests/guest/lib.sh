# SPDX-License-Identifier: GPL-2.0-only
#
# What the guest's side of a test is written with. Runs under busybox sh, as root, in the guest.
# A script calls `check NAME COMMAND...` as often as it likes and `finish` once, last; the results
# are printed as KTAP by `finish` alone, so a script that stops early has no plan line and fails.

DEBUG=/sys/kernel/debug/kvmpv
CLOCKSOURCE=/sys/devices/system/clocksource/clocksource0
MODULE=/kvmpv/kvmpv.ko

results=""
count=0

# check NAME COMMAND...: passes if the command succeeds; what it printed is shown if it does not.
check() {
	name=$1
	shift
	count=$((count + 1))
	if output=$("$@" 2>&1); then
		results="$results
ok $count $name"
	else
		results="$results
$(printf '%s\n' "$output" | sed 's/^/# /')
not ok $count $name"
	fi
}

# A line that is shown with the results, whatever they are.
report() {
	results="$results
# $*"
}

finish() {
	echo "KTAP version 1"
	echo "1..$count$results"
}

# equal WHAT ACTUAL EXPECTED
equal() {
	[ "$2" = "$3" ] || { echo "$1 is '$2', not '$3'"; return 1; }
}

# within WHAT ACTUAL LOWEST HIGHEST
within() {
	[ "$2" -ge "$3" ] && [ "$2" -le "$4" ] || { echo "$1 is $2, not $3 to $4"; return 1; }
}

# contains TEXT PATTERN (extended regular expression)
contains() {
	printf '%s\n' "$1" | grep -qE -- "$2" || { echo "no '$2' in: $1"; return 1; }
}

lacks() {
	! printf '%s\n' "$1" | grep -E -- "$2"
}

# fails_with MESSAGE COMMAND...: the command fails and says so.
fails_with() {
	message=$1
	shift
	if said=$("$@" 2>&1); then
		echo "'$*' succeeded"
		return 1
	fi
	contains "$said" "$message"
}

online_cpus() {
	grep -c ^processor /proc/cpuinfo
}

# msr CPU NUMBER: by the kernel's msr driver and msr-tools, as kvmpv prints it.
msr() {
	rdmsr -p "$1" -c "$2" 2> /dev/null || echo unreadable
}

# The order of the columns of `cpus`.
MSRS="wall_clock=0x11 system_time=0x12 wall_clock_new=0x4b564d00 system_time_new=0x4b564d01
async_pf_en=0x4b564d02 steal_time=0x4b564d03 eoi_en=0x4b564d04 poll_control=0x4b564d05
async_pf_int=0x4b564d06 async_pf_ack=0x4b564d07 migration_control=0x4b564d08"

# Every paravirtual MSR on all CPUs, a line each: the name, then a value per CPU.
all_msrs() {
	for entry in $MSRS; do
		values=$(rdmsr -a -c "${entry#*=}" 2> /dev/null) || values=unreadable
		echo "${entry%=*}" $values
	done
}

# The same by kvmpv's `cpus`.
msrs_by_kvmpv() {
	awk -v names="$MSRS" '
		NR == 2 { for (i = 1; i <= NF; i++) at[$i] = i; columns = split(names, entry) }
		NR > 2 { for (i = 1; i <= columns; i++) {
			split(entry[i], part, "=")
			value = $at[part[1]]
			if (value != "unreadable") row[i] = row[i] " " value
			else row[i] = " unreadable" } }
		END { for (i = 1; i <= columns; i++) {
			split(entry[i], part, "=")
			print part[1] row[i] } }' $DEBUG/cpus
}

# field FILE NAME: the value of a `field value` table.
field() {
	awk -v name="$2" '$1 == name { print $2 }' "$DEBUG/$1"
}

# column FILE ROW NAME: a value of a table with a header row below `version 1`; rows count from 1.
column() {
	awk -v row="$2" -v name="$3" '
		NR == 2 { for (i = 1; i <= NF; i++) if ($i == name) at = i }
		NR == 2 + row { print $at }' "$DEBUG/$1"
}

# cell FILE ROW NAME: the same, of the row that begins with ROW, and of any file of that form.
cell() {
	awk -v row="$2" -v name="$3" '
		NR == 2 { for (i = 1; i <= NF; i++) if ($i == name) at = i }
		NR > 2 && $1 == row { print $at }' "$1"
}

# A process that reads the time until it is killed ($reader). A SIGUSR1 makes it say on descriptor 4 what it has seen.
start_reader() {
	mkfifo /tmp/seen
	/tests/clock_watch > /tmp/seen &
	reader=$!
	exec 4< /tmp/seen
}

# last_value EVENT: of the last entry of that name.
last_value() {
	awk -v name="$1" '$4 == name { value = $5 } END { print value }' $DEBUG/events
}

# mode FEATURE: its mode in `status`; reason FEATURE: why.
mode() {
	awk -v name="$1" '$1 == name { print $2; exit }' "$DEBUG/status"
}
reason() {
	awk -v name="$1" '$1 == name { $1 = $2 = ""; print; exit }' "$DEBUG/status"
}

uptime_ms() {
	awk '{ sub(/\./, "", $1); print $1 * 10 }' /proc/uptime
}

# Over a second at least, by as much as the kernel's clock does: each look at ours lies between two at that,
# however long a slow host takes for them. That one is shown in hundredths, and a host steers some of its
# clocks by up to 500 ppm and others not.
rises_by_a_second() {
	outer_ms=$(uptime_ms)
	rise_ns=$(field clock/state now_ns)
	inner_ms=$(uptime_ms)
	sleep 1
	inner_ms=$(($(uptime_ms) - inner_ms))
	rise_ns=$(($(field clock/state now_ns) - rise_ns))
	outer_ms=$(($(uptime_ms) - outer_ms))
	within "ms of sleep" $inner_ms 990 $outer_ms || return 1
	within "ms by which now_ns rose" $((rise_ns / 1000000)) \
		$((inner_ms - inner_ms / 1000 - 12)) $((outer_ms + outer_ms / 1000 + 12))
}

# counts_beyond NAME VALUE: what clock/state counts grows beyond that. What brings it about comes once a second,
# and later where the host is busy: after half a minute it comes no more.
counts_beyond() {
	tries=0
	while [ "$(field clock/state "$1")" -le "$2" ]; do
		tries=$((tries + 1))
		[ $tries -le 300 ] || { cat $DEBUG/events; echo "$1 stayed at $2"; return 1; }
		sleep 0.1
	done
}

TRACING=/sys/kernel/tracing
AWAITED=$TRACING/instances/awaited

# each_cpu_has_returned COUNT: as the probe of each_cpu_returns has it.
each_cpu_has_returned() {
	awk -v least="$1" -v cpus="$(online_cpus)" '
		/ awaited: / { match($0, /\[[0-9]+\]/); times[substr($0, RSTART, RLENGTH)]++ }
		END { for (cpu in times) enough += times[cpu] >= least; exit enough < cpus }' $AWAITED/trace
}

# each_cpu_returns FUNCTION COUNT: from that function of the kernel's, so many times from now on, on every CPU that
# is online; by a probe of the kernel's, in a trace of its own. Within a minute.
each_cpu_returns() {
	echo "r:awaited $1" >> $TRACING/kprobe_events && mkdir $AWAITED &&
		echo 1 > $AWAITED/events/kprobes/awaited/enable || return 1
	tries=0
	until each_cpu_has_returned "$2"; do
		tries=$((tries + 1))
		[ $tries -le 600 ] || break
		sleep 0.1
	done
	echo 0 > $AWAITED/events/kprobes/awaited/enable
	each_cpu_has_returned "$2" || { cat $AWAITED/trace; echo "not every CPU has returned from $1"; tries=failed; }
	rmdir $AWAITED && echo '-:awaited' >> $TRACING/kprobe_events && [ $tries != failed ]
}

# Every CPU's records are looked at, which happens once a second.
each_cpu_looks() {
	each_cpu_returns kvmpv:kvmpv_sample 1
}

current_clocksource() {
	cat $CLOCKSOURCE/current_clocksource
}

available() {
	tr ' ' '\n' < $CLOCKSOURCE/available_clocksource | grep -qxF "$1"
}

select_clocksource() {
	echo "$1" > $CLOCKSOURCE/current_clocksource
	equal current_clocksource "$(current_clocksource)" "$1"
}

# The one that the kernel liked best when `remember` looked.
select_first_clocksource() {
	select_clocksource "$(tr ' ' '\n' < /tmp/clocks.before | head -n 1)"
}

# The hooks of the running kernel by symbol, from an instrument of its own (kunit/probe.c).
hooks() {
	cat /proc/kvmpv_probe
}

# `cpus` says of each MSR of each CPU what the kernel's msr driver reads.
cpus_equal_msrs() {
	all_msrs > /tmp/msrs.read
	equal "number of MSRs" "$(wc -l < /tmp/msrs.read)" 11 && msrs_by_kvmpv | diff /tmp/msrs.read -
}

# But for the TSC: the kernel lists it, renames it and strikes it off whenever it likes.
clocks() {
	sed 's/\<tsc\(-early\)\? //' $CLOCKSOURCE/available_clocksource
}

# Remembers everything that kvmpv must leave as it was; `nothing_changed` compares. An instrument that
# shows nothing would find no difference: such a guest ends here, without a plan line.
remember() {
	# It stays: an earlier script of the same guest may have brought it.
	[ -e /proc/kvmpv_probe ] || insmod /kvmpv/kvmpv_probe.ko || exit 1
	rdmsr -a 0x10 > /dev/null || exit 1
	all_msrs > /tmp/msrs.before
	hooks > /tmp/hooks.before
	grep -q '^static_call pv_steal_clock [a-z]' /tmp/hooks.before || exit 1
	clocks > /tmp/clocks.before
}

# What the clock publishes stays for as long as it is there.
hooks_but_the_clocks() {
	grep -v '^hv_clock_per_cpu ' /tmp/hooks.before > /tmp/hooks.wanted
	hooks | grep -v '^hv_clock_per_cpu ' | diff /tmp/hooks.wanted -
}

nothing_changed() {
	all_msrs > /tmp/msrs.after
	hooks > /tmp/hooks.after
	clocks > /tmp/clocks.after
	diff /tmp/msrs.before /tmp/msrs.after && diff /tmp/hooks.before /tmp/hooks.after &&
		diff /tmp/clocks.before /tmp/clocks.after
}

# As before loading, and no trace of the module.
undone() {
	nothing_changed || return 1
	[ ! -e $DEBUG ] || { echo "$DEBUG is still there"; return 1; }
	lacks "$(cat /proc/modules)" '^kvmpv '
}

# After vdso=1 in owned mode, while it is loaded: what is left behind is the page, named for every CPU,
# also for one that was never up.
expect_kept_page() {
	kept=$(hooks | awk '$1 == "hv_clock_per_cpu" && $2 == 0 { print $3 }')
	contains "$kept" '^f[0-9a-f]*$' || return 1
	sed -i "s/^\(hv_clock_per_cpu [0-9]* \).*/\1$kept/" /tmp/hooks.before
}

load() {
	insmod $MODULE "$@"
}

# What a module can leak from: slab, vmalloc, per-CPU memory, page tables, stacks.
kernel_memory_kb() {
	echo 3 > /proc/sys/vm/drop_caches
	awk '/^(Slab|VmallocUsed|Percpu|PageTables|KernelStack):/ { sum += $2 } END { print sum }' /proc/meminfo
}

# From round $SETTLED, whose memory is in /tmp/memory.settled, to round $ROUNDS. Half a page a round: a page leaked in each round is twice as much, and the slab's own noise a
# fraction of it.
no_leak() {
	settled=$(cat /tmp/memory.settled)
	now=$(kernel_memory_kb)
	echo "kernel memory: $settled kB after round $SETTLED, $now kB after round $ROUNDS" >&2
	within growth_kb $((now - settled)) -1000000 $(((ROUNDS - SETTLED) * 2))
}

# ask_host VERB ARGUMENT...: the host script does something; what it answers is in $answer. Only in a
# script that run.sh has not started: that one keeps stdout until the end.
exec 3>&1
ask_host() {
	echo "host: $*" >&3
	read -r answer <&9
}
