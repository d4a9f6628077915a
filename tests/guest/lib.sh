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

# msr CPU NUMBER: by the kernel's own msr driver, as kvmpv prints it.
msr() {
	bytes=$(dd if="/dev/cpu/$1/msr" bs=8 count=1 iflag=skip_bytes skip="$(($2))" 2>/dev/null |
		od -An -tx8 | tr -d ' ')
	[ -n "$bytes" ] || { echo unreadable; return; }
	echo "0x$(printf '%s' "$bytes" | sed 's/^0*\(.\)/\1/')"
}

# The order of the columns of `cpus`.
MSRS="wall_clock=0x11 system_time=0x12 wall_clock_new=0x4b564d00 system_time_new=0x4b564d01
async_pf_en=0x4b564d02 steal_time=0x4b564d03 eoi_en=0x4b564d04 poll_control=0x4b564d05
async_pf_int=0x4b564d06 async_pf_ack=0x4b564d07 migration_control=0x4b564d08"

# Every paravirtual MSR of every CPU, one a line.
all_msrs() {
	cpu=0
	while [ $cpu -lt "$(online_cpus)" ]; do
		for entry in $MSRS; do
			echo "$cpu ${entry%=*} $(msr $cpu "${entry#*=}")"
		done
		cpu=$((cpu + 1))
	done
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

# mode FEATURE: its mode in `status`; reason FEATURE: why.
mode() {
	awk -v name="$1" '$1 == name { print $2; exit }' "$DEBUG/status"
}
reason() {
	awk -v name="$1" '$1 == name { $1 = $2 = ""; print; exit }' "$DEBUG/status"
}

current_clocksource() {
	cat $CLOCKSOURCE/current_clocksource
}

available() {
	grep -qw "$1" $CLOCKSOURCE/available_clocksource
}

select_clocksource() {
	echo "$1" > $CLOCKSOURCE/current_clocksource
	equal current_clocksource "$(current_clocksource)" "$1"
}

# The hooks of the running kernel by symbol, from an instrument of its own (kunit/probe.c).
hooks() {
	cat /sys/kernel/debug/kvmpv_probe
}

# `cpus` says of each MSR of each CPU what the kernel's msr driver reads.
cpus_equal_msrs() {
	cpu=0
	while [ $cpu -lt "$(online_cpus)" ]; do
		for entry in $MSRS; do
			equal "cpu $cpu ${entry%=*}" "$(column cpus $((cpu + 1)) "${entry%=*}")" \
				"$(msr $cpu "${entry#*=}")" || return 1
		done
		cpu=$((cpu + 1))
	done
}

# Remembers everything that kvmpv must leave as it was; `nothing_changed` compares.
remember() {
	insmod /kvmpv/kvmpv_probe.ko
	all_msrs > /tmp/msrs.before
	hooks > /tmp/hooks.before
	cat $CLOCKSOURCE/available_clocksource > /tmp/clocks.before
}

nothing_changed() {
	all_msrs > /tmp/msrs.after
	hooks > /tmp/hooks.after
	cat $CLOCKSOURCE/available_clocksource > /tmp/clocks.after
	diff /tmp/msrs.before /tmp/msrs.after && diff /tmp/hooks.before /tmp/hooks.after &&
		diff /tmp/clocks.before /tmp/clocks.after
}

# As before loading, and no trace of the module.
undone() {
	nothing_changed || return 1
	[ ! -e $DEBUG ] || { echo "$DEBUG is still there"; return 1; }
	lacks "$(cat /proc/modules)" '^kvmpv '
}

load() {
	insmod $MODULE "$@"
}
