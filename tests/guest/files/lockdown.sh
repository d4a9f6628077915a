# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel is locked down after the module has been loaded, as under Secure Boot. Read-only files can be read,
# and parameters work as switches. MODE: shared or owned (nopv).
. /tests/lib.sh

PARAMETERS=/sys/module/kvmpv/parameters
LOCKDOWN=/sys/kernel/security/lockdown

locks_down() {
	mount -t securityfs securityfs /sys/kernel/security || return 1
	echo integrity > $LOCKDOWN || return 1
	contains "$(cat $LOCKDOWN)" '\[integrity\]' && fails_with 'not permitted' insmod /kvmpv/kvmpv_steal_monitor.ko
}

# These files cannot even be read, which is why the state of each switch is shown elsewhere, too.
switches_are_refused() {
	find $DEBUG -type f -perm 0600 > /tmp/switches
	within "number of files that can be written" "$(wc -l < /tmp/switches)" 6 100 || return 1
	while read -r file; do
		fails_with 'not permitted' cat "$file" || return 1
		fails_with 'not permitted' sh -c "echo 1 > $file" || return 1
	done < /tmp/switches
}

everything_else_is_readable() {
	find $DEBUG -type f ! -perm 0600 > /tmp/files
	within "number of files" "$(wc -l < /tmp/files)" 14 100 || return 1
	while read -r file; do
		equal "first line of $file" "$(head -n 1 "$file")" 'version 1' || return 1
	done < /tmp/files
}

# Each writable file, and the field that shows its state.
every_state_is_told() {
	equal "states" "$(field clock/state released) $(field clock/state forced_unstable)" 'no no' &&
		equal "states" "$(field steal/state hooked) $(field steal/state attribution)" 'yes no' &&
		equal "state" "$(field steal/state reset_time_ns)" 0 && equal "state" "$(field eoi/state hooked)" yes
}

# switches NAME FILE FIELD: switches to the other value and back; the parameter and the field show it.
switches() {
	was=$(cat $PARAMETERS/"$1")
	for value in $((1 - was)) $was; do
		echo $value > $PARAMETERS/"$1" || return 1
		[ $value = 1 ] && said=yes || said=no
		equal "$1" "$(cat $PARAMETERS/"$1")" $value && equal "$2 $3" "$(field "$2" "$3")" $said || return 1
	done
}

# What it has set is shown where every file can be read.
switches_halt_poll() {
	for value in 0 1; do
		echo $value > $PARAMETERS/halt_poll && equal halt_poll "$(cat $PARAMETERS/halt_poll)" $value &&
			equal MSR "$(cell halt_poll/cpus 0 msr)" 0x$value || return 1
	done
}

releases() {
	echo 1 > $PARAMETERS/clock_release || return 1
	equal current "$(current_clocksource)" "$before" && equal released "$(field clock/state released)" yes
}

before=$(current_clocksource)
remember
# So that in shared mode, too, the kernel selects kvmpv and can be made to leave it.
[ "$MODE" = shared ] && check loads load clock_rating=450 || check loads load
check is_the_clock equal current "$(current_clocksource)" kvmpv
check locks_down
check switches_are_refused
check everything_else_is_readable
check every_state_is_told
check switches_steal_hook switches steal_hook steal/state hooked
check switches_steal_attribution switches steal_attribution steal/state attribution
check switches_eoi_hook switches eoi_hook eoi/state hooked
check switches_halt_poll
check switches_halt_poll_accounting switches halt_poll_accounting halt_poll/state accounting
[ "$MODE" != shared ] || check switches_async_pf_accounting switches async_pf_accounting async_pf/state accounting
check switches_clock_force_unstable switches clock_force_unstable clock/state forced_unstable
check releases
end
