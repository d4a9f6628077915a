# SPDX-License-Identifier: GPL-2.0-only
#
# CPUs go offline and come back while PV EOI is hooked. MODE: shared or owned (nopv).
. /tests/lib.sh
. /tests/eoi/lib.sh

ROUNDS=20
CPU1=/sys/devices/system/cpu/cpu1/online

# The CPU's slot holds the same as before, and the host sets the bit for its interrupts again.
cpu1_elides() {
	equal "slot of CPU 1" "$(msr 1 0x4b564d04)" "$slot" || return 1
	first=$(cell eoi/cpus 1 elided)
	echo 100 > $STORM/self
	second=$(cell eoi/cpus 1 elided)
	within "elided by CPU 1" $((second - first)) 50 100000
}

cpu1_goes_and_comes() {
	slot=$(msr 1 0x4b564d04)
	round=1
	while [ $round -le $ROUNDS ]; do
		echo 0 > $CPU1 || return 1
		equal "rows of eoi/cpus" "$(awk 'NR > 2' $DEBUG/eoi/cpus | wc -l)" 1 || return 1
		echo 1 > $CPU1 || return 1
		cpu1_elides || { echo "in round $round"; return 1; }
		round=$((round + 1))
	done
}

# Loaded while CPU 1 is offline: the slot is taken when the CPU comes online.
late_cpu() {
	echo 0 > $CPU1 && load clock=0 && echo 1 > $CPU1 || return 1
	slot=$(msr 1 0x4b564d04)
	lacks "$slot" '^0x0$' && cpu1_elides
}

# Unloaded while CPU 1 is offline: nothing of the module comes back with the CPU.
unloads_without_cpu1() {
	echo 0 > $CPU1 && rmmod kvmpv && echo 1 > $CPU1 && undone
}

insmod /kvmpv/kvmpv_storm.ko
begin eoi clock=0
check "goes_and_comes_$ROUNDS" cpu1_goes_and_comes
check unloads rmmod kvmpv
check everything_is_undone undone
check late_cpu
check unloads_without_cpu1
check no_word_was_left_set lacks "$(dmesg)" 'kvmpv: eoi: '
check nothing_in_service equal in_service "$(awk 'NF > 1' $STORM/in_service)" ''
rmmod kvmpv_storm
finish
