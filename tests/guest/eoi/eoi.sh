# SPDX-License-Identifier: GPL-2.0-only
#
# PV EOI: hooked, counted, explained, unhooked. MODE: shared or owned (nopv). APIC: the mode of the local
# APIC if it is not the usual one. A guest without paravirtual features uses x2APIC only with interrupt
# remapping.
. /tests/lib.sh
. /tests/eoi/lib.sh

if [ "$MODE" = shared ]; then usual=x2apic; else usual=xapic; fi
APIC=${APIC:-$usual}
CPUS=$(online_cpus)
EOI_MSR=0x4b564d04

# In shared mode the MSRs stay as they are. In owned mode each CPU's word has its own cache line.
words_are_registered() {
	if [ "$MODE" = shared ]; then
		grep '^eoi_en ' /tmp/msrs.before > /tmp/eoi.before
		all_msrs | grep '^eoi_en ' | diff /tmp/eoi.before -
		return
	fi
	for cpu in $(seq 0 $((CPUS - 1))); do
		slot=$(msr "$cpu" $EOI_MSR)
		[ $((slot & 1)) -eq 1 ] || { echo "CPU $cpu holds $slot"; return 1; }
		echo $((slot >> 6))
	done > /tmp/lines
	equal "number of cache lines" "$(sort -u /tmp/lines | wc -l)" "$CPUS"
}

# x2APIC mode is bit 10 of IA32_APIC_BASE on each CPU. An EOI is then written to an MSR (0x80b), or else to the page.
apic_is_in_mode() {
	if [ "$APIC" = x2apic ]; then bit=1 written_by=msr; else bit=0 written_by=mem; fi
	for cpu in $(seq 0 $((CPUS - 1))); do
		equal "x2APIC bit of CPU $cpu" $(($(msr "$cpu" 0x1b) >> 10 & 1)) $bit || return 1
	done
	contains "$(cat /tmp/hooks.before)" "eoi(_write)? native_apic_${written_by}_(eoi|eoi_write|write)\$"
}

observes_only() {
	load clock=0 steal_hook=0 eoi_hook=0 || return 1
	hooks | diff /tmp/hooks.before - || return 1
	contains "$(reason eoi)" 'not hooked' || return 1
	equal hooked "$(field eoi/hook hooked)" no || return 1
	echo 1 > $DEBUG/eoi/hook || return 1
	contains "$(eoi_callback)" '^kvmpv_eoi$' || return 1
	rmmod kvmpv && undone
}

refuses_bad_input() {
	fails_with 'nvalid' load eoi_hook=2 || return 1
	load clock=0 || return 1
	for bad in 2 '' -1 yes; do
		fails_with 'nvalid' sh -c "echo '$bad' > $DEBUG/eoi/hook" || return 1
	done
	rmmod kvmpv && undone
}

# The best of at most five looks. If the host takes the CPU away between an interrupt and its end, one more EOI
# is written, and nothing makes it one less. All looks are reported.
busy() {
	: > /tmp/looks
	for look in 1 2 3 4 5; do
		eoi_snapshot > /tmp/before
		busy_for_ticks 1000 /tmp/before
		eoi_since /tmp/before > /tmp/busy
		report_ends "busy, look $look" /tmp/busy >> /tmp/looks
		! most_elided /tmp/busy || return 0
	done
	return 1
}

unhooks_and_hooks_again() {
	echo 0 > $DEBUG/eoi/hook || return 1
	hooks_but_the_clocks || return 1
	grep '^eoi_en ' /tmp/msrs.before > /tmp/eoi.before
	all_msrs | grep '^eoi_en ' | diff /tmp/eoi.before - || return 1
	equal hooked "$(field eoi/hook hooked)" no || return 1
	echo 1 > $DEBUG/eoi/hook || return 1
	echo 500 > $STORM/self || return 1
	within elided "$(total_elided)" 1 1000000000
}

# Interrupts of a running task on a CPU whose slot somebody has cleared before the module was loaded.
never_armed_is_told() {
	value=$(msr 1 $EOI_MSR)
	write_msr 1 $EOI_MSR 0 && echo 0 > $DEBUG/eoi/hook && echo 1 > $DEBUG/eoi/hook || return 1
	echo 200 > $STORM/self
	cat $DEBUG/eoi/cpus > /tmp/cpus
	write_msr 1 $EOI_MSR "$value" || return 1
	awk '$1 == 1 { print; told = $2 == 0 && $3 >= 200 && / never armed: 0 of [0-9]+ interrupts of/ &&
		substr($0, index($0, " 0 of ") + 6) + 0 == $3 - $4 }
		END { exit !told }' /tmp/cpus
}

# Every wake-up reads hpet first, which is an exit.
idle_on_hpet_is_told() {
	select_clocksource hpet || return 1
	echo 0 > $DEBUG/eoi/hook && echo 1 > $DEBUG/eoi/hook || return 1
	until awk 'NR > 2 && $2 + $3 < 200 { few = 1 } END { exit few }' $DEBUG/eoi/cpus; do
		sleep 5
	done
	cat $DEBUG/eoi/cpus > /tmp/cpus
	awk 'NR > 2 { print }
		NR > 2 && !(/ withdrawn by an exit before the EOI: [0-9]+ of [0-9]+ written/ && $4 * 2 >= $3 &&
			index($0, ": " $4 " of " $3 " written")) { bad = 1 }
		END { exit bad || NR < 4 }' /tmp/cpus
}

idle() {
	eoi_snapshot > /tmp/before
	sleep 20
	eoi_since /tmp/before > /tmp/idle
}

remember
insmod /kvmpv/kvmpv_storm.ko
check "apic_is_in_mode_$APIC" apic_is_in_mode
check observes_only
check refuses_bad_input
# So that the probe shows only this hook.
check loads load steal_hook=0
check mode equal mode "$(mode eoi)" "$MODE"
check hooked contains "$(reason eoi)" 'hooked, [0-9]+ of [0-9]+ interrupts ended without an exit'
check callback_is_ours equal callback "$(eoi_callback)" kvmpv_eoi
check words_are_registered
check not_on_hpet lacks "$(current_clocksource)" hpet
check busy_most_are_elided busy
check busy_every_end_is_counted every_end_is_counted /tmp/busy
check idle
check idle_every_end_is_counted every_end_is_counted /tmp/idle
check unhooks_and_hooks_again
check cpus_equal_msrs
if [ "$MODE" = shared ]; then
	# In owned mode the hook itself arms every slot.
	check never_armed_is_told
else
	check idle_on_hpet_is_told
fi
select_first_clocksource
check unloads rmmod kvmpv
check everything_is_undone undone
check no_word_was_left_set lacks "$(dmesg)" 'kvmpv: eoi: '
check nothing_in_service equal in_service "$(cat $STORM/in_service | awk 'NF > 1')" ''
echo "# $(dmesg | grep -o 'Switched APIC routing to.*')"
cat /tmp/looks
report_ends idle /tmp/idle
rmmod kvmpv_storm
finish
