# SPDX-License-Identifier: GPL-2.0-only
#
# A kernel whose debugfs is switched off (debugfs=off or debugfs=no-mount), or that has none: the module
# works, is switched by its parameters, and is undone. MODE: shared or owned (nopv). ERROR: what the
# kernel answers whoever makes files there: EPERM, with no-mount ENOENT, without debugfs ENODEV.
. /tests/lib.sh

ERROR=${ERROR:--1}
PARAMETERS=/sys/module/kvmpv/parameters

there_is_no_debugfs() {
	! grep -q ' debugfs ' /proc/mounts && ! mount -t debugfs debugfs /tmp
}

# In shared mode this rating makes the kernel select kvmpv, as the default rating does in owned mode.
loads() {
	if [ "$MODE" = shared ]; then load clock_rating=450; else load; fi
}

one_line_says_what_is_unseen() {
	equal "lines of debugfs" "$(dmesg | grep -c 'kvmpv: no files in debugfs')" 1 &&
		contains "$(dmesg)" "kvmpv: no files in debugfs \\(error $ERROR\\).*/sys/module/kvmpv/parameters" &&
		lacks "$(dmesg)" 'kvmpv: .*see /sys/kernel/debug'
}

hook_is() {
	contains "$(hooks)" "^$1 $2( \[kvmpv\])?\$"
}

# In the kernel it is a static call since 6.5, and a member of struct apic before.
eoi_place() {
	if hooks | grep -q '^static_call apic_call_eoi '; then echo 'static_call apic_call_eoi'; else echo 'apic eoi_write'; fi
}

# time_goes_on: by the kernel's clock, which is ours, a sleep of a second takes at least a second.
time_goes_on() {
	first=$(awk '{ print int($1 * 100) }' /proc/uptime)
	sleep 1
	within "hundredths of a second" $(($(awk '{ print int($1 * 100) }' /proc/uptime) - first)) 99 500
}

# switches NAME PLACE OURS: off and on again. While it is off the kernel calls what it called before loading.
switches_hook() {
	before=$(sed -n "s/^$2 //p" /tmp/hooks.before)
	equal "$1" "$(cat $PARAMETERS/"$1")" 1 && hook_is "$2" "$3" || return 1
	echo 0 > $PARAMETERS/"$1" || return 1
	equal "$1" "$(cat $PARAMETERS/"$1")" 0 && hook_is "$2" "$before" || return 1
	echo 1 > $PARAMETERS/"$1" || return 1
	equal "$1" "$(cat $PARAMETERS/"$1")" 1 && hook_is "$2" "$3"
}

switches() {
	for value in 1 0; do
		echo $value > $PARAMETERS/"$1" || return 1
		equal "$1" "$(cat $PARAMETERS/"$1")" $value || return 1
	done
}

refuses_bad_values() {
	for bad in 2 -1 '' x; do
		fails_with 'nvalid' sh -c "echo '$bad' > $PARAMETERS/steal_hook" || return 1
	done
	equal steal_hook "$(cat $PARAMETERS/steal_hook)" 1
}

releases() {
	echo 1 > $PARAMETERS/clock_release || return 1
	equal current "$(current_clocksource)" "$before_loading" && equal clock_release "$(cat $PARAMETERS/clock_release)" 1
}

# The parameters given at load are in force: nothing is hooked, and the kernel has not selected our clock.
starts_as_told() {
	load steal_hook=0 eoi_hook=0 clock_release=1 clock_force_unstable=1 steal_attribution=1 || return 1
	nothing_is_hooked && equal current "$(current_clocksource)" "$before_loading" || return 1
	for parameter in clock_release clock_force_unstable steal_attribution; do
		equal $parameter "$(cat $PARAMETERS/$parameter)" 1 || return 1
	done
	rmmod kvmpv && undone
}

nothing_is_hooked() {
	equal steal_hook "$(cat $PARAMETERS/steal_hook)" 0 && equal eoi_hook "$(cat $PARAMETERS/eoi_hook)" 0 &&
		hooks_but_the_clocks
}

before_loading=$(current_clocksource)
remember
check there_is_no_debugfs
check loads
check one_line_says_what_is_unseen
check is_the_clock equal current "$(current_clocksource)" kvmpv
check time_goes_on
check switches_steal_hook switches_hook steal_hook 'static_call pv_steal_clock' kvmpv_steal_clock
check switches_eoi_hook switches_hook eoi_hook "$(eoi_place)" kvmpv_eoi
check switches_steal_attribution switches steal_attribution
check switches_clock_force_unstable switches clock_force_unstable
check refuses_bad_values
check rmmod_is_refused_while_current fails_with 'busy|unavailable' rmmod kvmpv
check releases
check unloads rmmod kvmpv
check everything_is_undone undone
check starts_as_told
finish
