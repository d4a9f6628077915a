# SPDX-License-Identifier: GPL-2.0-only
#
# Suspend to RAM and back, three times, with PV EOI hooked; the host wakes the guest
# (tests/host/wake.py). MODE: shared or owned (nopv).
. /tests/lib.sh
. /tests/eoi/lib.sh

sleeps_and_wakes() {
	slots=$(rdmsr -a -c 0x4b564d04)
	echo mem > /sys/power/state || return 1
	equal slots "$(rdmsr -a -c 0x4b564d04)" "$slots" || return 1
	first=$(total_elided)
	echo 100 > $STORM/self
	within elided $(($(total_elided) - first)) 100 100000
}

# All MSRs but the clock's. Sleep has cleared what firmware had left in that of CPU 0.
eoi_is_undone() {
	hooks | diff /tmp/hooks.before - || return 1
	grep '^eoi_en ' /tmp/msrs.before > /tmp/eoi.before
	all_msrs | grep '^eoi_en ' | diff /tmp/eoi.before - || return 1
	lacks "$(cat /proc/modules)" '^kvmpv '
}

insmod /kvmpv/kvmpv_storm.ko
suspends=$(dmesg | grep -c 'PM: suspend exit')
begin eoi clock=0
for time in first second third; do
	check "sleeps_and_wakes_$time" sleeps_and_wakes
done
check really_slept equal "suspends in the log" "$(dmesg | grep -c 'PM: suspend exit')" $((suspends + 3))
check unloads rmmod kvmpv
check eoi_is_undone
check no_word_was_left_set lacks "$(dmesg)" 'kvmpv: eoi: '
check nothing_in_service equal in_service "$(awk 'NF > 1' $STORM/in_service)" ''
rmmod kvmpv_storm
finish
