# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel has registered nothing, but firmware left a slot enabled on CPU 0. That slot is foreign, and is never
# taken for the kernel's own, even if CPU 0 is the only CPU. The module takes the slots, the kernel switches from
# hpet to our clock, and unloading restores everything. Once the user has written current_clocksource, the kernel
# stays with that. BEFORE: the clocksource at the start.
. /tests/lib.sh

BEFORE=${BEFORE:-hpet}

firmware_left_a_slot() {
	contains "$(msr 0 0x4b564d01)" '^0x[0-9a-f]*[13579bdf]$'
}

only_cpu_0_is_foreign() {
	contains "$(reason clock)" "foreign on 1 of $(online_cpus) CPUs \(CPU 0 holds $foreign\)"
}

# With clock=0 the slot is not taken. The host still updates the record that firmware has registered, and `cpus`
# shows it.
foreign_record_is_shown() {
	load clock=0 || return 1
	equal clock_on "$(cell cpus 0 clock_on)" yes &&
		within clock_version "$(cell cpus 0 clock_version)" 1 4294967295 &&
		within tsc_to_system_mul "$(cell cpus 0 tsc_to_system_mul)" 1 4294967295 &&
		rmmod kvmpv && undone
}

# Every CPU's slot holds a different address, and the host has written a record there.
each_cpu_has_a_record() {
	cpu=0
	while [ $cpu -lt "$(online_cpus)" ]; do
		equal clock_on "$(cell cpus $cpu clock_on)" yes || return 1
		within clock_version "$(cell cpus $cpu clock_version)" 1 4294967295 || return 1
		cpu=$((cpu + 1))
	done
	equal "number of addresses" "$(awk 'NR > 2 { print $5 }' $DEBUG/cpus | sort -u | wc -l)" \
		"$(online_cpus)"
}

releases_by_rating() {
	echo 1 > $DEBUG/clock/release || return 1
	equal current "$(current_clocksource)" "$before"
}

# This comes last, because it stays in force in this guest.
stays_where_the_user_put_it() {
	select_clocksource "$BEFORE" && load || return 1
	equal rating "$(field clock/state rating)" 400 || return 1
	equal current "$(current_clocksource)" "$BEFORE" || return 1
	rmmod kvmpv && undone
}

before=$(current_clocksource)
remember
check guest_starts_without_us equal current "$before" "$BEFORE"
check firmware_left_a_slot
foreign=$(msr 0 0x4b564d01)
check foreign_record_is_shown
check loads load
check owned equal mode "$(mode clock)" owned
check only_cpu_0_is_foreign
check each_cpu_has_a_record
check moves_to_us_by_itself equal current "$(current_clocksource)" kvmpv
check rating_is_natives equal rating "$(field clock/state rating)" 400
check rmmod_is_refused_while_current fails_with 'busy|unavailable' rmmod kvmpv
check steal_is_free contains "$(reason steal)" "free on $(online_cpus) of $(online_cpus) CPUs"
check eoi_is_free contains "$(reason eoi)" "free on $(online_cpus) of $(online_cpus) CPUs"
check cpus_equal_msrs
# None, though all are offered.
check hypercalls_as_the_kernel_has_said
check now_rises rises_by_a_second
check releases_by_rating
check unloads rmmod kvmpv
check everything_is_undone undone
check stays_where_the_user_put_it
finish
