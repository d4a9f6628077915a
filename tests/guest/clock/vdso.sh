# SPDX-License-Identifier: GPL-2.0-only
#
# While kvmpv is selected, user space reads the clock without a system call: in shared mode, and with vdso=1 also in
# owned mode. If a condition is not met it reads by system call, and `status` says why. MODE: shared or owned
# (nopv). CLOCK: stable or unstable.
. /tests/lib.sh
. /tests/life/canary.sh

CLOCK=${CLOCK:-stable}
TRACE=/sys/kernel/tracing/events/raw_syscalls/sys_enter
NR_CLOCK_GETTIME=228

# Reads the clock COUNT times, and puts the number of clock_gettime system calls that this took into $calls.
count_calls() {
	echo "hist:keys=id if id == $NR_CLOCK_GETTIME" > $TRACE/trigger || return 1
	result=$(/tests/clock_reads "$1") || return 1
	calls=$(awk '/Hits:/ { print $2 }' $TRACE/hist)
	echo "!hist:keys=id if id == $NR_CLOCK_GETTIME" > $TRACE/trigger
	contains "$result" ' backward 0 '
}

no_calls_in_a_million() {
	count_calls 1000000 && equal "system calls" "$calls" 0
}

# Proves that the counter works: one system call per read, and two at the start of the program.
every_read_is_a_call() {
	count_calls 1000 && within "system calls" "$calls" 1000 1010
}

# User space follows the switch at the kernel's next tick. Nothing signals that.
eventually() {
	tries=0
	until said=$("$@"); do
		tries=$((tries + 1))
		[ $tries -lt 20 ] || { echo "$said"; return 1; }
	done
}

# User space cannot apply the guard, so while the guard is on it has to make a system call.
follows_the_guard() {
	echo 1 > $DEBUG/clock/force_unstable
	eventually every_read_is_a_call || return 1
	status_says 'by system call: the guard is on; user space cannot apply it' || return 1
	echo 0 > $DEBUG/clock/force_unstable
	eventually no_calls_in_a_million
}

status_says() {
	contains "$(cat $DEBUG/status)" "vdso: $1"
}

reads_on() {
	kill -USR1 $reader || return 1
	read -r seen <&4
	echo "$seen"
	contains "$seen" ' kernel_reads [0-9]{2,} kernel_backward 0 ' &&
		contains "$seen" ' user_reads [0-9]{2,} user_backward 0 '
}

no_calls_but_the_readers() {
	kill -STOP $reader
	no_calls_in_a_million
	calls_rc=$?
	kill -CONT $reader
	return $calls_rc
}

cpu0_page() {
	cell cpus 0 clock_pa
}

# Takes a reference to the page, which shows whether its owner still has one.
page_was_freed() {
	echo fill > $CANARY && contains "$(cat $CANARY)" ' refs 1 changed 0$' && rmmod kvmpv_canary
}

page_is_not_free() {
	fails_with 'busy' sh -c "echo fill > $CANARY" && contains "$(cat $CANARY)" '^0x[0-9a-f]*000 refs 2 ' &&
		rmmod kvmpv_canary
}

status_says_never_freed() {
	contains "$(cat $DEBUG/status)" 'page that user space reads is never freed'
}

remember
native=$(current_clocksource)
if [ "$CLOCK" = unstable ]; then
	check loads load vdso=1
	check status_says_why status_says 'by system call: the host did not promise a stable clock at load'
	check selects select_clocksource kvmpv
	check every_read_is_a_call
else
	start_reader
	if [ "$MODE" = owned ]; then
		check loads_without load
		check selects_without select_clocksource kvmpv
		check not_by_default status_says 'by system call: in owned mode only with the parameter vdso=1'
		check not_kept_by_default lacks "$(cat $DEBUG/status)" 'never freed'
		kill -STOP $reader
		check every_read_is_a_call
		kill -CONT $reader
		check holds_a_page_that_goes hold "$(cpu0_page)"
		select_clocksource "$native"
		check unloads_without rmmod kvmpv
		check page_was_freed
		check undone_without undone
		check loads load vdso=1
	else
		check loads load
	fi
	check mode equal mode "$(mode clock)" "$MODE"
	check status_says_on status_says 'user space reads the clock without a system call'
	check selects select_clocksource kvmpv
	check no_calls_in_a_million no_calls_but_the_readers
	check process_reads reads_on
	if [ "$MODE" = owned ]; then
		check status_says_never_freed
		page=$(cpu0_page)
		check holds_the_kept_page hold "$page"
		check expect_kept_page
	fi
	select_clocksource "$native"
	check unloads rmmod kvmpv
	check process_reads_on reads_on
	[ "$MODE" = shared ] || check page_is_not_free
	check all_but_the_page_is_undone undone
	# In owned mode the page that processes have mapped is used again.
	check loads_again load vdso=1
	[ "$MODE" = shared ] || check page_is_the_same equal clock_pa "$(cpu0_page)" "$page"
	check selects_again select_clocksource kvmpv
	check process_reads_after_reload reads_on
	kill $reader
	check no_calls_after_reload no_calls_in_a_million
	check follows_the_guard
	select_clocksource "$native"
	check unloads_again rmmod kvmpv
	check all_but_the_page_is_undone_again undone
	check parameter_disables load vdso=0
	check status_says_parameter status_says 'by system call: disabled by the parameter vdso'
	if [ "$MODE" = owned ]; then
		check still_never_freed status_says_never_freed
		check page_is_still_the_same equal clock_pa "$(cpu0_page)" "$page"
	fi
fi
select_clocksource "$native"
check unloads_at_last rmmod kvmpv
check everything_is_undone undone
finish
