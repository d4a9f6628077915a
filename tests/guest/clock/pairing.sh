# SPDX-License-Identifier: GPL-2.0-only
#
# clock/pairing: all of an answer is of one moment, which lies within the look, and the host's clock is the RTC's. On
# a host that does not keep its time by the TSC (CLOCK=unstable) the file says so. MODE: shared or owned (nopv).
. /tests/lib.sh

PAIRING=$DEBUG/clock/pairing

# of FIELD: a value of the copy in /tmp/pairing.
of() {
	field /tmp/pairing "$1"
}

tsc() {
	rdmsr -d 0x10
}

# The second clock of the guest is read before and after, by a program or by the kernel's msr driver.
is_of_one_moment() {
	set -- "$(tsc)" "$(date +%s)" "$(field clock/state now_ns)"
	cat $PAIRING > /tmp/pairing
	set -- "$@" "$(field clock/state now_ns)" "$(date +%s)" "$(tsc)"
	equal state "$(of state)" answered || return 1
	within tsc "$(of tsc)" "$1" "$6" &&
		within realtime_ns "$(of realtime_ns)" "${2}000000000" "${5}999999999" &&
		within clock_ns "$(of clock_ns)" "$3" "$4"
}

offset_is_the_difference() {
	equal offset_ns "$(of offset_ns)" $(($(of host_realtime_ns) - $(of realtime_ns))) &&
		within error_ns "$(of error_ns)" 1 1000000000
}

# QEMU's RTC shows the host's time in whole seconds.
host_agrees_with_the_rtc() {
	before_s=$(cat /sys/class/rtc/rtc0/since_epoch)
	cat $PAIRING > /tmp/pairing
	after_s=$(cat /sys/class/rtc/rtc0/since_epoch)
	within "host's seconds" $(($(of host_realtime_ns) / 1000000000)) $((before_s - 1)) $((after_s + 1))
}

many_at_once() {
	for asker in 1 2 3 4; do
		(for round in 1 2 3 4 5 6 7 8 9 10; do cat $PAIRING; done > /tmp/asker.$asker) &
	done
	wait
	equal answers "$(cat /tmp/asker.* | grep -cE '^state +answered$')" 40
}

nothing_was_refused() {
	equal refused "$(field clock/pairing refused)" 0
}

says_why_not() {
	cat $PAIRING > /tmp/pairing
	contains "$(cat /tmp/pairing)" \
		'^state +not offered: the host does not keep its time by the TSC \(KVM_EOPNOTSUPP\)$' &&
		lacks "$(cat /tmp/pairing)" '_ns|tsc ' && nothing_was_refused
}

# offered ANSWER: in `features` and in `clock/drift`.
offered() {
	equal features "$(awk '$1 == "KVM_HC_CLOCK_PAIRING" { print $3 }' $DEBUG/features)" "$1" &&
		equal drift "$(cell clock/drift host_realtime present)" "$1"
}

begin clock
if [ "$CLOCK" = unstable ]; then
	check says_why_not
	check offered offered no
else
	check is_of_one_moment
	check offset_is_the_difference
	check host_agrees_with_the_rtc
	check many_at_once
	check nothing_was_refused
	check offered offered yes
	report "$(uname -r) $MODE: $(tail -n +3 /tmp/pairing | tr -s ' \n' ' ')"
fi
[ "$(current_clocksource)" != kvmpv ] || echo 1 > $DEBUG/clock/release
end
