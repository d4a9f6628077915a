# SPDX-License-Identifier: GPL-2.0-only
#
# Functions for test scripts. They run in the guest, under busybox sh, as root. A script calls
# `check NAME COMMAND...` any number of times, and `finish` once at the end. Only `finish` prints the
# results, as KTAP. So a script that stops early has no plan line, and fails.
#
# Most scripts call `begin FEATURE` first, and `end` in place of `finish`. MODE: shared or owned (nopv).

MODE=${MODE:-shared}
DEBUG=/sys/kernel/debug/kvmpv
CLOCKSOURCE=/sys/devices/system/clocksource/clocksource0
MODULE=/kvmpv/kvmpv.ko

results=""
count=0

# check NAME [COMMAND...]: passes if the command succeeds. If it fails, its output is shown. Without COMMAND the
# name is that of a function.
check() {
	name=$1
	[ $# -eq 1 ] || shift
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

# report TEXT...: a line that is shown with the results, passed or not.
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

# fails_with MESSAGE COMMAND...: the command fails with this message.
fails_with() {
	message=$1
	shift
	if said=$("$@" 2>&1); then
		echo "'$*' succeeded"
		return 1
	fi
	contains "$said" "$message"
}

# reaches LEAST COMMAND...: waits until the number that the command prints is at least LEAST, for a minute at most.
reaches() {
	least=$1
	shift
	tries=0
	until [ "$("$@")" -ge "$least" ]; do
		tries=$((tries + 1))
		[ $tries -le 600 ] || { echo "'$*' stayed at $("$@")"; return 1; }
		sleep 0.1
	done
}

online_cpus() {
	grep -c ^processor /proc/cpuinfo
}

# msr CPU NUMBER: the value by the kernel's msr driver and msr-tools, in the format of kvmpv.
msr() {
	rdmsr -p "$1" -c "$2" 2> /dev/null || echo unreadable
}

# In the order of the columns of `cpus`.
MSRS="wall_clock=0x11 system_time=0x12 wall_clock_new=0x4b564d00 system_time_new=0x4b564d01
async_pf_en=0x4b564d02 steal_time=0x4b564d03 eoi_en=0x4b564d04 poll_control=0x4b564d05
async_pf_int=0x4b564d06 async_pf_ack=0x4b564d07 migration_control=0x4b564d08"

# Every paravirtual MSR on all CPUs, one line each: its name, then a value per CPU.
all_msrs() {
	# shellcheck disable=SC2086 # several words
	/tests/msrs $MSRS
}

# The same, read from kvmpv's `cpus`.
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

# cell FILE ROW NAME [KEY]: in the row that begins with ROW, or has it below KEY, the value below NAME. FILE is kvmpv's,
# or a copy of one by its whole path.
cell() {
	case $1 in
	/*) file=$1 ;;
	*) file=$DEBUG/$1 ;;
	esac
	awk -v row="$2" -v name="$3" -v key="${4:-}" '
		!at { by = 1; for (i = 1; i <= NF; i++) { if ($i == name) at = i; if ($i == key) by = i } next }
		$by == row { print $at }' "$file"
}

# field FILE NAME: a value of a table with the columns `field value`.
field() {
	cell "$1" "$2" value
}

# Starts a process ($reader) that reads the time until it is killed. On SIGUSR1 it writes what it has seen to descriptor 4.
start_reader() {
	mkfifo /tmp/seen
	/tests/clock_watch > /tmp/seen &
	reader=$!
	exec 4< /tmp/seen
}

# last_value EVENT: the value of the last event of that kind.
last_value() {
	awk -v name="$1" '$4 == name { value = $5 } END { print value }' $DEBUG/events
}

# The functions of the kernel that make hypercalls, and what it logs at boot when it has decided to.
HYPERCALLS='KVM_HC_KICK_CPU kvm_kick_cpu PV spinlocks enabled
KVM_HC_SEND_IPI kvm_send_ipi_mask setup PV IPIs
KVM_HC_SCHED_YIELD kvm_smp_send_call_func_ipi setup PV sched yield
KVM_HC_MAP_GPA_RANGE kvm_sev_hc_page_enc_status never, for memory is not encrypted here'

# `features` says so of each; and `-` of one that this kernel was built without.
hypercalls_as_the_kernel_has_said() {
	sed '1,/^$/d' $DEBUG/features > /tmp/hypercalls
	echo "$HYPERCALLS" | while read -r name function said; do
		expected=no
		! dmesg | grep -q "kvm-guest: $said" || expected=yes
		grep -q " $function$" /proc/kallsyms || expected=-
		equal "$name used" "$(cell /tmp/hypercalls "$name" used)" $expected || exit 1
	done
}

# mode FEATURE: its mode in `status`. reason FEATURE: the reason for that mode.
mode() {
	awk -v name="$1" '$1 == name { print $2; exit }' "$DEBUG/status"
}
reason() {
	awk -v name="$1" '$1 == name { $1 = $2 = ""; print; exit }' "$DEBUG/status"
}

uptime_ms() {
	awk '{ sub(/\./, "", $1); print $1 * 10 }' /proc/uptime
}

# Over at least a second our clock rises by as much as the kernel's. Each read of ours lies between two reads of
# the kernel's, however long a slow host takes for them. The kernel's is shown in hundredths of a second, and the
# host slews some of its clocks by up to 500 ppm and others not.
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

# The host's wall clock lies between two looks at the RTC, which QEMU keeps and kvmclock has no part in.
agrees_with_the_rtc() {
	before_s=$(cat /sys/class/rtc/rtc0/since_epoch)
	wall_s=$(($(field clock/wall_clock wall_now_ns) / 1000000000))
	after_s=$(cat /sys/class/rtc/rtc0/since_epoch)
	within wall_now "$wall_s" $((before_s - 1)) $((after_s + 1))
}

# counts_beyond NAME VALUE: waits until the counter NAME of clock/state exceeds VALUE, for half a minute at most.
# The look that counts comes once a second, and later if the host is busy.
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

# each_cpu_has_returned COUNT: the probe of each_cpu_returns has seen this on every CPU.
each_cpu_has_returned() {
	awk -v least="$1" -v cpus="$(online_cpus)" '
		/ awaited: / { match($0, /\[[0-9]+\]/); times[substr($0, RSTART, RLENGTH)]++ }
		END { for (cpu in times) enough += times[cpu] >= least; exit enough < cpus }' $AWAITED/trace
}

# each_cpu_returns FUNCTION COUNT: waits until every online CPU has returned from a kernel function COUNT times from
# now on, for a minute at most. Uses a kretprobe in a trace instance of its own.
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

# Waits until the sampler has looked at the records of every CPU, which happens once a second.
each_cpu_looks() {
	each_cpu_returns kvmpv:kvmpv_sample 1
}

# By the shell itself: a process takes 20 ms in a nested guest.
current_clocksource() {
	read -r selected < $CLOCKSOURCE/current_clocksource
	echo "$selected"
}

available() {
	tr ' ' '\n' < $CLOCKSOURCE/available_clocksource | grep -qxF "$1"
}

select_clocksource() {
	echo "$1" > $CLOCKSOURCE/current_clocksource
	equal current_clocksource "$(current_clocksource)" "$1"
}

# The clocksource with the highest rating when `remember` was called.
select_first_clocksource() {
	select_clocksource "$(tr ' ' '\n' < /tmp/clocks.before | head -n 1)"
}

# The hooks of the running kernel by symbol, from an independent instrument (the module kvmpv_probe).
hooks() {
	cat /proc/kvmpv_probe
}

# `cpus` shows for each MSR of each CPU what the kernel's msr driver reads.
cpus_equal_msrs() {
	all_msrs > /tmp/msrs.read
	equal "number of MSRs" "$(wc -l < /tmp/msrs.read)" 11 && msrs_by_kvmpv | diff /tmp/msrs.read -
}

# The clocksources without the TSC, because the kernel adds, renames or removes that at any time.
clocks() {
	sed 's/\<tsc\(-early\)\? //' $CLOCKSOURCE/available_clocksource
}

# Saves everything that kvmpv must restore; `nothing_changed` compares. An instrument that shows nothing
# would find no difference, so a script in such a guest ends here, without a plan line.
remember() {
	# The probe stays loaded: an earlier script of the same guest may have loaded it.
	[ -e /proc/kvmpv_probe ] || insmod /kvmpv/kvmpv_probe.ko || exit 1
	rdmsr -a 0x10 > /dev/null || exit 1
	all_msrs > /tmp/msrs.before
	hooks > /tmp/hooks.before
	grep -q '^static_call pv_steal_clock [a-z]' /tmp/hooks.before || exit 1
	clocks > /tmp/clocks.before
}

# While the clock exists its records stay published, so these are not compared.
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

# Everything is as before loading, and nothing of the module is left.
undone() {
	nothing_changed || return 1
	[ ! -e $DEBUG ] || { echo "$DEBUG is still there"; return 1; }
	lacks "$(cat /proc/modules)" '^kvmpv '
}

# After vdso=1 in owned mode, while the module is loaded. The page stays behind. The pointer of every CPU
# points at it, even that of a CPU that was never online.
expect_kept_page() {
	kept=$(hooks | awk '$1 == "hv_clock_per_cpu" && $2 == 0 { print $3 }')
	contains "$kept" '^f[0-9a-f]*$' || return 1
	sed -i "s/^\(hv_clock_per_cpu [0-9]* \).*/\1$kept/" /tmp/hooks.before
}

load() {
	insmod $MODULE "$@"
}

# The kernel's clock comes back first, because the clock that is current cannot go.
unload() {
	[ "$(current_clocksource)" != kvmpv ] || select_first_clocksource || return 1
	rmmod kvmpv
}

# begin FEATURE [PARAMETER...]: loads the module, and the feature is in this mode.
begin() {
	feature=$1
	shift
	remember
	check loads load "$@"
	check mode equal mode "$(mode "$feature")" "$MODE"
}

# end [UNDONE]: unloads it, and everything is as before.
end() {
	check unloads unload
	check everything_is_undone "${1:-undone}"
	finish
}

# All kinds of memory that a module can leak: slab, vmalloc with the stacks in it, per-CPU memory. Each slab cache first
# gives back what is empty: it keeps some, more or less by chance.
kernel_memory_kb() {
	echo 3 > /proc/sys/vm/drop_caches
	for cache in /sys/kernel/slab/*; do
		[ -L "$cache" ] || echo 1 > "$cache/shrink"
	done
	awk '/^(Slab|VmallocUsed|Percpu):/ { sum += $2 } END { print sum }' /proc/meminfo
}

# The lowest of many readings: until ten in a row were no lower. Of processes that have exited, some hundred kB are not
# freed yet at any moment.
settled_memory_kb() {
	lowest_kb=$(kernel_memory_kb)
	no_lower=0
	while [ $no_lower -lt 10 ]; do
		now_kb=$(kernel_memory_kb)
		no_lower=$((no_lower + 1))
		[ "$now_kb" -ge "$lowest_kb" ] || { lowest_kb=$now_kb; no_lower=0; }
	done
	echo "$lowest_kb"
}

# From round $SETTLED, whose memory is in /tmp/memory.settled, to round $ROUNDS, whose is in /tmp/memory.last: both were
# read at the same place of the script. The limit is half a page per round. A page that leaks in each round is twice as
# much.
no_leak() {
	settled=$(cat /tmp/memory.settled)
	now=$(cat /tmp/memory.last)
	echo "kernel memory: $settled kB after round $SETTLED, $now kB after round $ROUNDS" >&2
	within growth_kb $((now - settled)) -1000000 $(((ROUNDS - SETTLED) * 2))
}
