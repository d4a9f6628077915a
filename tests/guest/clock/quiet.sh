# SPDX-License-Identifier: GPL-2.0-only
#
# CPUs that were isolated at boot are left alone, and the sampler can be switched off. The kernel was booted with
# isolcpus=1 nohz_full=1 no-kvmclock-vsyscall.
. /tests/lib.sh

SAMPLER=/sys/module/kvmpv/parameters/sampler

sampled_on() {
	grep -c "\[00$1\].* sampled: " $TRACING/trace
}

# By a probe: CPU 0 is looked at once a second, CPU 1 never, however often CPU 0 was.
isolated_is_not_sampled() {
	mount -t tracefs tracefs $TRACING 2> /dev/null
	echo 'p:sampled kvmpv:kvmpv_sample' > $TRACING/kprobe_events &&
		echo 1 > $TRACING/events/kprobes/sampled/enable || return 1
	tries=0
	until [ "$(sampled_on 0)" -ge 4 ]; do
		tries=$((tries + 1))
		[ $tries -le 600 ] || { cat $TRACING/trace; return 1; }
		sleep 0.1
	done
	echo 0 > $TRACING/events/kprobes/sampled/enable
	isolated=$(sampled_on 1)
	echo > $TRACING/trace
	echo > $TRACING/kprobe_events
	equal "looks at CPU 1" "$isolated" 0
}

status_says() {
	contains "$(cat $DEBUG/status)" "$1"
}

follows() {
	grep -q 'kvmpv/sampler:online' /sys/devices/system/cpu/hotplug/states
}

switches() {
	follows && equal sampler "$(cat $SAMPLER)" 1 || return 1
	echo 0 > $SAMPLER && ! follows && equal sampler "$(cat $SAMPLER)" 0 || return 1
	status_says '^sampler: off: ' || return 1
	fails_with 'nvalid' sh -c "echo 2 > $SAMPLER" || return 1
	echo 1 > $SAMPLER && follows && status_says '^sampler: looks .*: 1$'
}

loads_without() {
	load sampler=0 && ! follows && status_says '^sampler: off: '
}

# As a task that polls does: it never leaves its CPU.
beside_a_busy_cpu() {
	began_ms=$(uptime_ms)
	load && rmmod kvmpv && within "ms for load and unload" $(($(uptime_ms) - began_ms)) 0 60000
}

begin clock
check is_isolated equal isolated "$(cat /sys/devices/system/cpu/isolated)" 1
check has_no_tick equal nohz_full "$(cat /sys/devices/system/cpu/nohz_full)" 1
check isolated_is_not_sampled
check status_says_sampler status_says '^sampler: looks .* isolated .*: 1$'
check vdso_as_the_kernel status_says '^vdso: by system call: so is the kernel.s own clock .no-kvmclock-vsyscall.'
check switches
check unloads rmmod kvmpv
check loads_without
check unloads_again rmmod kvmpv
taskset -c 1 sh -c 'while :; do :; done' > /dev/null 2>&1 &
busy=$!
check beside_a_busy_cpu
kill $busy
check vdso_by_name load vdso=1
check vdso_on status_says '^vdso: user space reads the clock without a system call'
end
