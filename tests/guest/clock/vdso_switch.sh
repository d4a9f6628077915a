# SPDX-License-Identifier: GPL-2.0-only
#
# Whether user space reads the clock by itself can be switched while the module runs. Owned mode (nopv).
. /tests/lib.sh

TRACE=$TRACING/events/raw_syscalls/sys_enter
NR_CLOCK_GETTIME=228
VDSO=/sys/module/kvmpv/parameters/vdso

# calls_are READS LEAST MOST: so many system calls while a program reads the clock. User space follows the switch at
# the kernel's next tick, and nothing signals that, so it is tried again for a while.
calls_are() {
	for try in 1 2 3 4 5 6 7 8 9 10; do
		echo "hist:keys=id if id == $NR_CLOCK_GETTIME" > $TRACE/trigger || return 1
		result=$(/tests/clock_reads "$1") || return 1
		calls=$(awk '/Hits:/ { print $2 }' $TRACE/hist)
		echo "!hist:keys=id if id == $NR_CLOCK_GETTIME" > $TRACE/trigger
		contains "$result" ' backward 0 ' || return 1
		[ "$calls" -lt "$2" ] || [ "$calls" -gt "$3" ] || return 0
	done
	within "system calls" "$calls" "$2" "$3"
}

status_says() {
	contains "$(cat $DEBUG/status)" "^vdso: $1"
}

says_what_it_would_gain() {
	status_says 'by system call: in owned mode .* to save the system call of each clock_gettime..: echo 1 > /sys/module/kvmpv/parameters/vdso .costs one page, for good' &&
		equal vdso "$(cat $VDSO)" 0
}

# A file and a parameter, with the same answers.
switches_on() {
	echo 1 > "$1" && equal parameter "$(cat $VDSO)" 1 && equal vdso "$(field clock/state vdso)" yes &&
		equal vdso "$(field clock/vdso vdso)" yes && status_says 'user space reads the clock without a system call' &&
		calls_are 100000 0 0
}

switches_off() {
	echo 0 > "$1" && equal parameter "$(cat $VDSO)" 0 && equal vdso "$(field clock/vdso vdso)" no &&
		status_says 'by system call: disabled by the parameter vdso; to save ' && calls_are 1000 1000 1010
}

refuses_nonsense() {
	for bad in 2 -1 x; do
		for file in $VDSO $DEBUG/clock/vdso; do
			fails_with 'nvalid' sh -c "echo $bad > $file" || return 1
		done
	done
}

says_the_price_once() {
	equal "lines in the log" "$(dmesg | grep -c 'kvmpv: vdso: the page that user space reads is never freed')" 1 &&
		contains "$(cat $DEBUG/status)" 'page that user space reads is never freed'
}

mount -t tracefs tracefs $TRACING 2> /dev/null
native=$(current_clocksource)
begin clock
check selects select_clocksource kvmpv
check every_read_is_a_call calls_are 1000 1000 1010
check says_what_it_would_gain
check no_page_yet lacks "$(cat $DEBUG/status)" 'never freed'
check switches_on switches_on $VDSO
check switches_off switches_off $DEBUG/clock/vdso
check refuses_nonsense
check switches_on_again switches_on $DEBUG/clock/vdso
check says_the_price_once
check expect_kept_page
select_clocksource "$native"
end
