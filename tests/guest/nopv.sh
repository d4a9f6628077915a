# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel registered nothing, but firmware left a slot enabled on CPU 0: that is foreign, and
# never taken for the kernel's own, not even where CPU 0 is the only one.
. /tests/lib.sh

firmware_left_a_slot() {
	contains "$(msr 0 0x4b564d01)" '^0x[0-9a-f]*[13579bdf]$'
}

only_cpu_0_is_foreign() {
	cpu=1
	while [ $cpu -lt "$(online_cpus)" ]; do
		equal "cpu $cpu" "$(msr $cpu 0x4b564d01)" 0x0 || return 1
		cpu=$((cpu + 1))
	done
	contains "$(reason clock)" "foreign on 1 of $(online_cpus) CPUs \(CPU 0 holds $(msr 0 0x4b564d01)\)"
}

# The host still updates the record that firmware registered, and `cpus` shows it.
foreign_record_is_shown() {
	[ "$(column cpus 1 clock_on)" = yes ] && [ "$(column cpus 1 clock_version)" -gt 0 ] &&
		[ "$(column cpus 1 tsc_to_system_mul)" -gt 0 ]
}

remember
check firmware_left_a_slot firmware_left_a_slot
check loads load
check not_shared sh -c ". /tests/lib.sh; [ \"\$(mode clock)\" != shared ]"
check only_cpu_0_is_foreign only_cpu_0_is_foreign
check foreign_record_is_shown foreign_record_is_shown
check steal_is_free contains "$(reason steal)" "free on $(online_cpus) of $(online_cpus) CPUs"
check eoi_is_free contains "$(reason eoi)" "free on $(online_cpus) of $(online_cpus) CPUs"
check cpus_equal_msrs cpus_equal_msrs
check unloads rmmod kvmpv
check everything_is_undone undone
finish
