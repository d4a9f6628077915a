# SPDX-License-Identifier: GPL-2.0-only
#
# Wake-ups of idle CPUs are counted and timed while somebody asks for it, and only then.
. /tests/lib.sh
. /tests/halt_poll/lib.sh

IPI_SENT=/sys/kernel/tracing/events/ipi/ipi_send_cpu
# More than a wake-up takes on the slowest host: 20 s.
MOST_NS=20000000000

# From the other CPU, so that each look is an IPI.
wakeups() {
	taskset $((2 >> $1)) cat $POLL/cpus > /tmp/looked && cell /tmp/looked "$1" "$2"
}

# wakes NAME LEAST: waits until the counter NAME of each CPU is at least LEAST.
wakes() {
	for cpu in 0 1; do
		reaches "$2" wakeups $cpu "$1" || { cat $POLL/cpus; return 1; }
	done
}

nothing_is_counted() {
	equal accounting "$(field halt_poll/accounting accounting)" no &&
		equal "CPU 0" "$(wakeups 0 wakeups) $(wakeups 0 timer_p50_ns)" '- -'
}

# The sleeping of this script is timers, and its looks are IPIs.
counts_and_times() {
	echo 1 > $POLL/accounting && equal accounting "$(field halt_poll/state accounting)" yes || return 1
	wakes timers 20 && wakes ipis 5 && cat $POLL/cpus || return 1
	for cpu in 0 1; do
		sum=$(($(wakeups $cpu timers) + $(wakeups $cpu ipis)))
		[ "$(wakeups $cpu wakeups)" -ge $sum ] || { echo "less wake-ups than causes: $sum"; return 1; }
		within "timer_p50_ns of CPU $cpu" "$(wakeups $cpu timer_p50_ns)" 1 $MOST_NS &&
			within "timer_p99_ns of CPU $cpu" "$(wakeups $cpu timer_p99_ns)" \
				"$(wakeups $cpu timer_p50_ns)" $MOST_NS || return 1
	done
}

# Where the kernel does not say when it sends an IPI, they are only counted.
ipis_are_timed() {
	if [ -e $IPI_SENT ]; then
		equal ipis_are_timed "$(field halt_poll/state ipis_are_timed)" yes &&
			within ipi_p50_ns "$(wakeups 1 ipi_p50_ns)" 1 $MOST_NS &&
			within ipi_p99_ns "$(wakeups 1 ipi_p99_ns)" "$(wakeups 1 ipi_p50_ns)" $MOST_NS
	else
		equal ipis_are_timed "$(field halt_poll/state ipis_are_timed)" no &&
			equal "IPIs of CPU 1" "$(wakeups 1 ipi_p50_ns) $(wakeups 1 ipi_p99_ns)" 'untimed untimed'
	fi
}

# Each write to control begins anew: what follows was counted since.
begins_anew_with_each_write() {
	wakes timers 20 || return 1
	since=$(field halt_poll/state counted_since_ns)
	echo 1 > $POLL/control && within "counted since" "$(field halt_poll/state counted_since_ns)" \
		$((since + 1)) 9000000000000000000 || return 1
	within "timers of CPU 0 right after it" "$(wakeups 0 timers)" 0 19 || return 1
	echo 0 > $POLL/control && wakes timers 20
}

# A CPU that has come counts like the others.
counts_a_cpu_that_comes() {
	echo 0 > /sys/devices/system/cpu/cpu1/online && echo 1 > /sys/devices/system/cpu/cpu1/online || return 1
	counted=$(wakeups 1 timers)
	wakes timers $((counted + 20))
}

# The kernel calls nothing of ours any more: a probe on it is not hit, while this CPU sleeps and wakes.
costs_nothing_when_off() {
	echo 0 > $PARAMETERS/halt_poll_accounting && equal parameter "$(cat $PARAMETERS/halt_poll_accounting)" 0 || return 1
	counted=$(wakeups 0 wakeups)
	echo 'p:idle kvmpv:kvmpv_idle_ends' >> $TRACING/kprobe_events && mkdir $AWAITED &&
		echo 1 > $AWAITED/events/kprobes/idle/enable || return 1
	for turn in 1 2 3 4 5; do
		sleep 0.1
	done
	hits=$(grep -c ' idle: ' $AWAITED/trace)
	echo 1 > $PARAMETERS/halt_poll_accounting && sleep 0.5
	hits_when_on=$(grep -c ' idle: ' $AWAITED/trace)
	echo 0 > $PARAMETERS/halt_poll_accounting
	echo 0 > $AWAITED/events/kprobes/idle/enable && rmdir $AWAITED && echo '-:idle' >> $TRACING/kprobe_events
	equal "hits when off" "$hits" 0 && within "hits when on" "$hits_when_on" 1 1000000
}

remember
check loads load
check nothing_is_counted
check counts_and_times
check ipis_are_timed
check begins_anew_with_each_write
check counts_a_cpu_that_comes
check costs_nothing_when_off
check unloads rmmod kvmpv
check everything_is_undone undone
# Counted from the start, and on while it is unloaded.
check loads_counting load halt_poll_accounting=1
check counts_from_the_start wakes timers 5
report "$(awk 'NR > 1 { print (NR > 2 ? "# " : "") $0 }' $POLL/cpus)"
end
