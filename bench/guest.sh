# SPDX-License-Identifier: GPL-2.0-only
#
# The part of `make bench` that runs in the guest: guest.sh GROUP [ARGUMENT...]. Each measurement is a line
# whose first word says what it is. bench/run makes tables of them.
set -eu
. /bench/load.sh

CLOCKSOURCE=/sys/devices/system/clocksource/clocksource0
CALLS=/sys/kernel/tracing/events/raw_syscalls/sys_enter
NR_CLOCK_GETTIME=228

available() {
	grep -qw "$1" $CLOCKSOURCE/available_clocksource
}

select_clocksource() {
	echo "$1" > $CLOCKSOURCE/current_clocksource
	[ "$(cat $CLOCKSOURCE/current_clocksource)" = "$1" ]
}

# CPUS ROUNDS CLOCK:READS... Clocks that this guest does not have are left out.
timing() {
	cpus=$1 rounds=$2
	shift 2
	clocks=
	for clock; do
		case $clock in
		nothing:* | *-off:*) clocks="$clocks $clock" ;;
		*) ! available "${clock%:*}" || clocks="$clocks $clock" ;;
		esac
	done
	echo "$cpus $rounds$clocks" > $BENCH/timing
	awk -v cpus="$cpus" 'NR > 2 { print "timing", cpus, $1, $2, $3, $4 }' $BENCH/timing
}

# ROUNDS READS SLOW_READS TIMES
in_kernel() {
	load_both
	for cpus in 1 4; do
		timing $cpus "$1" kvmpv:"$2" kvm-clock:"$2" tsc:"$2" hpet:"$3" nothing:"$2" \
			irq-off:"$2" preempt-off:"$2"
	done
	for clock in kvmpv kvm-clock tsc hpet; do
		! available $clock || {
			echo "offered $clock"
			echo $clock "$4" > $BENCH/steps
			echo "steps $clock $(awk 'NR == 2 { print $2 }' $BENCH/steps)"
		}
	done
	unload_both
}

# NAME READS: reads the current clocksource from user space.
user() {
	echo "user $1 $(/bench/clock_reads "$2")"
}

# NAME READS: how many system calls these reads make.
calls() {
	echo "hist:keys=id if id == $NR_CLOCK_GETTIME" > $CALLS/trigger
	/bench/clock_reads "$2" > /dev/null
	echo "calls $1 $2 $(awk '/Hits:/ { print $2 }' $CALLS/hist)"
	echo "!hist:keys=id if id == $NR_CLOCK_GETTIME" > $CALLS/trigger
}

# ROUNDS READS COUNTED_READS
user_shared() {
	load
	for clock in kvm-clock kvmpv; do
		select_clocksource $clock
		calls $clock "$3"
	done
	round=0
	while [ $round -lt "$1" ]; do
		# Each of the two goes first in every second round.
		order='kvm-clock kvmpv'
		[ $((round % 2)) = 0 ] || order='kvmpv kvm-clock'
		for clock in $order; do
			select_clocksource $clock
			user $clock "$2"
		done
		round=$((round + 1))
	done
	select_clocksource kvm-clock
	unload
}

# ROUNDS READS SLOW_READS: in a guest booted with nopv
user_owned() {
	round=0
	while [ $round -lt "$1" ]; do
		for vdso in 1 0; do
			load vdso=$vdso
			select_clocksource kvmpv
			user kvmpv-vdso$vdso "$2"
			[ $round -gt 0 ] || calls kvmpv-vdso$vdso "$2"
			select_clocksource hpet
			rmmod kvmpv
		done
		user hpet "$3"
		round=$((round + 1))
	done
	calls hpet "$3"
}

# CLOCK READS: nothing but reads, for the host to count what they cost, and the loading of the modules
exits() {
	# dd moves the file position of /dev/port to the first mark. A byte written there by the shell itself
	# is the mark, and moves on to the next.
	exec 8<> /dev/port
	dd bs=1 count=0 seek="$KVMPV_MARK" >&8 2> /dev/null < /dev/null
	printf x >&8
	load_both
	timing 1 1 "$1:$2"
	printf x >&8
	unload_both
}

# yes or no: with kvmpv loaded, interrupts of each kind between the two marks
ends() {
	[ "$1" = no ] || load
	sh /lab/eoi_window.sh
	[ "$1" = no ] || unload
}

# TIMES: the elided end of an interrupt, the kernel's own, then ours.
eoi_steps() {
	load_both eoi_hook=0
	for hook in 0 1; do
		echo $hook > /sys/kernel/debug/kvmpv/eoi/hook
		echo eoi "$1" > $BENCH/steps
		awk 'NR == 2 { count = $2 } NR == 3 { sub(/\+.*/, ""); print "eoi_steps", $1, count }
			NR > 2 { print "#", $0 }' $BENCH/steps
	done
	unload_both
}

"$@"
