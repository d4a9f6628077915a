# SPDX-License-Identifier: GPL-2.0-only
#
# The host's halt polling is allowed and forbidden for each CPU, and put back: by writing to control and to the
# parameter, at loading, while CPUs go and come, around sleep, and where somebody else writes to the MSR. The host
# wakes the guest (tests/host/wake.py). It has two CPUs, and their MSRs hold 1.
. /tests/lib.sh
. /tests/halt_poll/lib.sh

CPU1=/sys/devices/system/cpu/cpu1/online

left_alone() {
	equal MSRs "$(poll_msrs)" '0x1 0x1 ' && equal set "$(set_and_before)" '-/- -/- ' &&
		contains "$(reason halt_poll)" 'set when asked, put back at unload; as it was$' &&
		equal parameter "$(cat $PARAMETERS/halt_poll)" 1
}

sets_all() {
	echo 0 > $POLL/control && equal MSRs "$(poll_msrs)" '0x0 0x0 ' &&
		equal set "$(set_and_before)" '0/0x1 0/0x1 ' &&
		equal parameter "$(cat $PARAMETERS/halt_poll)" 0 &&
		contains "$(reason halt_poll)" 'set on 2 of 2 CPUs$' &&
		cpus_equal_msrs
}

sets_one() {
	echo 1 1 > $POLL/control && equal MSRs "$(poll_msrs)" '0x0 0x1 ' &&
		equal set "$(set_and_before)" '0/0x1 1/0x1 ' &&
		equal parameter "$(cat $PARAMETERS/halt_poll)" 0 || return 1
	printf '0 1' > $POLL/control && equal MSRs "$(poll_msrs)" '0x1 0x1 ' &&
		equal parameter "$(cat $PARAMETERS/halt_poll)" 1 &&
		equal "CPU 1 in control" "$(cell halt_poll/control 1 set)" 1
}

sets_by_parameter() {
	echo 0 > $PARAMETERS/halt_poll && equal MSRs "$(poll_msrs)" '0x0 0x0 ' || return 1
	for value in -1 2 10; do
		fails_with 'nvalid' sh -c "echo $value > $PARAMETERS/halt_poll" || return 1
	done
	echo 1 > $PARAMETERS/halt_poll && equal MSRs "$(poll_msrs)" '0x1 0x1 '
}

# All lengths that a file takes and some that it does not, of bytes that are nearly right and of any bytes.
refuses_bad_input() {
	echo 0 > $POLL/control || return 1
	for text in ' ' 2 -1 00 01 11 '0 ' ' 1' '0 2' '0  1' '0 1 ' '0 1 1' '-1 1' '+1 1' 0x1 '0x0 1' 1.0 '1,1' on y; do
		refused nvalid "$text" || return 1
	done
	length=2
	while [ $length -le 70 ]; do
		ones=$(printf '%*s' $length '' | tr ' ' 1)
		refused nvalid "$ones" && refused 'nvalid|No such device' "$ones 1" || return 1
		head -c $((length + 2)) /dev/urandom > /tmp/random
		fails_with nvalid sh -c "cat /tmp/random > $POLL/control" || { od -c /tmp/random; return 1; }
		length=$((length + 1))
	done
	printf '1\0' > /tmp/nul
	fails_with nvalid sh -c "cat /tmp/nul > $POLL/control" || return 1
	for cpu in 2 7 4096 999999999; do
		refused 'No such device' "$cpu 1" || return 1
	done
	equal MSRs "$(poll_msrs)" '0x0 0x0 '
}

# A CPU that comes has what was written last, whether it was there at that time or not.
follows_cpus() {
	for value in 0 1; do
		echo $value > $POLL/control && echo 0 > $CPU1 || return 1
		equal rows "$(awk 'NR > 2' $POLL/cpus | wc -l)" 1 && refused 'No such device' '1 0' || return 1
		echo 1 > $CPU1 && equal "CPU 1" "$(msr 1 $POLL_MSR)" 0x$value || return 1
		echo 0 > $CPU1 && echo $((1 - value)) > $POLL/control && echo 1 > $CPU1 || return 1
		equal "CPU 1, asked while it was away" "$(msr 1 $POLL_MSR)" 0x$((1 - value)) || return 1
	done
}

sleeps_and_wakes() {
	echo 0 > $POLL/control && echo mem > /sys/power/state &&
		equal MSRs "$(poll_msrs)" '0x0 0x0 ' && equal set "$(set_and_before)" '0/0x1 0/0x1 '
}

# Not all MSRs: sleep has cleared what firmware had left in those of CPU 0.
is_put_back() {
	hooks | diff /tmp/hooks.before - && equal MSRs "$(poll_msrs)" "${1:-0x1 0x1 }" &&
		lacks "$(cat /proc/modules)" '^kvmpv '
}

load_with_parameter() {
	fails_with 'nvalid' load halt_poll=2 && fails_with 'nvalid' load halt_poll=-2 || return 1
	load halt_poll=0 && equal MSRs "$(poll_msrs)" '0x0 0x0 ' && equal set "$(set_and_before)" '0/0x1 0/0x1 '
}

# What the MSRs held before us need not be the host's 1.
puts_back_0() {
	wrmsr -a $POLL_MSR 0 && load && echo 1 > $POLL/control && equal MSRs "$(poll_msrs)" '0x1 0x1 ' &&
		rmmod kvmpv && is_put_back '0x0 0x0 ' && wrmsr -a $POLL_MSR 1
}

# Whoever writes to it after us has the last word.
leaves_others_alone() {
	load && echo 1 > $POLL/control && wrmsr -p 1 $POLL_MSR 0 && rmmod kvmpv &&
		is_put_back '0x1 0x0 ' && wrmsr -a $POLL_MSR 1
}

remember
check loads load
check mode equal mode "$(mode halt_poll)" owned
check left_alone
check sets_all
check sets_one
check sets_by_parameter
check refuses_bad_input
check follows_cpus
check unloads rmmod kvmpv
check everything_is_undone undone
check load_with_parameter
check sleeps_and_wakes
check unloads_after_sleep rmmod kvmpv
check is_put_back
check puts_back_0
check leaves_others_alone
check nothing_was_logged lacks "$(dmesg)" 'kvmpv: halt_poll'
finish
