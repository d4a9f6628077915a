# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel has clock records of its own, but somebody has cleared the slots. The module takes the slots. The
# kernel's pointers to its records stay, because its own clocks continue to read there.
. /tests/lib.sh
. /tests/life/canary.sh

SLOT=0x4b564d01
CPU1=/sys/devices/system/cpu/cpu1/online

# write_slots VALUE...: one value per CPU, the first for CPU 0.
write_slots() {
	cpu=0
	for value; do
		write_msr $cpu $SLOT "$value" || return 1
		equal "slot of CPU $cpu" "$(msr $cpu $SLOT)" "$value" || return 1
		cpu=$((cpu + 1))
	done
}

kernels_pointers() {
	hooks | grep '^hv_clock_per_cpu '
}

pointers_are_as_before() {
	kernels_pointers | diff /tmp/pointers -
}

# Every pointer points at a record, or there would be nothing to preserve.
pointers_are_set() {
	equal "CPUs with a record" "$(grep -c '^hv_clock_per_cpu [0-9]* f[0-9a-f]*$' /tmp/pointers)" "$(online_cpus)"
}

reloads_with_vdso() {
	load vdso=1 || return 1
	contains "$(cat $DEBUG/status)" "vdso: by system call: the page for user space is the kernel's own" || return 1
	pointers_are_as_before && rmmod kvmpv
}

cpu1_goes_and_comes() {
	echo 0 > $CPU1 && pointers_are_as_before && echo 1 > $CPU1 || return 1
	equal "number of addresses" "$(rdmsr -a $SLOT | sort -u | wc -l)" "$(online_cpus)" && pointers_are_as_before
}

# The kernel's own clock still reads its own records.
native_rises() {
	began_s=$(cat /sys/class/rtc/rtc0/since_epoch)
	first_ms=$(uptime_ms)
	sleep 1
	risen_ms=$(($(uptime_ms) - first_ms))
	# The RTC does not depend on any clock of the guest, but shows whole seconds only.
	passed_s=$(($(cat /sys/class/rtc/rtc0/since_epoch) - began_s))
	within "ms of uptime" $risen_ms 990 $(((passed_s + 1) * 1000 + 10))
}

slots=$(rdmsr -a -c $SLOT)
check clears_the_slots write_slots 0x0 0x0
remember
kernels_pointers > /tmp/pointers
check pointers_are_set
check loads load
check owned equal mode "$(mode clock)" owned
check slots_are_free contains "$(reason clock)" "free on 2 of 2 CPUs"
check pointers_are_spared pointers_are_as_before
check selects select_clocksource kvmpv
check now_rises rises_by_a_second
check cpu1_goes_and_comes
check selects_native select_clocksource kvm-clock
check unloads rmmod kvmpv
check everything_is_undone undone
check reloads_with_vdso
check everything_is_undone_again undone
check native_rises
check gives_the_slots_back write_slots $slots
check native_rises_by_the_host native_rises
finish
