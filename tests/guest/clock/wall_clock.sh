# SPDX-License-Identifier: GPL-2.0-only
#
# The host's wall clock on demand: correct to a second, the same for many readers at once, and nothing is left in
# the MSR. MODE: shared or owned (nopv).
. /tests/lib.sh

WALL_CLOCK=$DEBUG/clock/wall_clock
# For each request the host computes the epoch from two clocks, which it reads one after the other. If it is
# preempted in between, that one answer is wrong by as long as that takes.
EPOCH_SPREAD_NS=50000000

# The middle one of seven answers.
epoch() {
	for look in 1 2 3 4 5 6 7; do
		field clock/wall_clock epoch_wall_ns
	done | sort -n | sed -n 4p
}

epoch_stays() {
	first=$(epoch)
	sleep 1
	within "epoch moved by" $(($(epoch) - first)) -$EPOCH_SPREAD_NS $EPOCH_SPREAD_NS
}

# wall_now - realtime = offset, all from one read of the file.
offset_is_the_difference() {
	awk '{ value[$1] = $2 } END { print value["wall_now_ns"], value["realtime_ns"], value["offset_ns"] }' \
		$WALL_CLOCK > /tmp/look
	read -r wall real offset < /tmp/look
	equal offset $((wall - real)) "$offset"
}

many_at_once() {
	for asker in 1 2 3 4; do
		(for round in 1 2 3 4 5 6 7 8 9 10; do cat $WALL_CLOCK; done > /tmp/asker.$asker) &
	done
	wait
	equal answers "$(cat /tmp/asker.* | grep -c '^epoch_wall_ns')" 40 || return 1
	lacks "$(cat /tmp/asker.*)" '^error' || return 1
	# Nine in ten.
	spread=$(cat /tmp/asker.* | awk '$1 == "epoch_wall_ns" { print $2 }' | sort -n | sed -n '3p;38p' | tr '\n' ' ')
	set -- $spread
	within "spread of the epoch" $(($2 - $1)) 0 $EPOCH_SPREAD_NS
}

begin clock
check epoch_stays
check agrees_with_the_rtc
check offset_is_the_difference
check many_at_once
check msr_is_as_before equal wall_clock_new "$(all_msrs | grep '^wall_clock_new')" "$(grep '^wall_clock_new' /tmp/msrs.before)"
[ "$(current_clocksource)" != kvmpv ] || echo 1 > $DEBUG/clock/release
end
