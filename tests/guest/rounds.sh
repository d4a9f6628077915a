# SPDX-License-Identifier: GPL-2.0-only
#
# 200 times: load, select, read, give up, unload. A leak shows between round 50 and round 200.
. /tests/lib.sh

ROUNDS=${ROUNDS:-200}
SETTLED=50

# One round; the clock must have been ours and must have moved.
one_round() {
	load || return 1
	select_clocksource kvmpv || return 1
	first=$(field clock/state now_ns)
	equal current "$(field clock/state current)" yes || return 1
	second=$(field clock/state now_ns)
	[ "$second" -gt "$first" ] || { echo "the clock stood still at $first ns"; return 1; }
	select_clocksource kvm-clock || return 1
	rmmod kvmpv || return 1
	! available kvmpv
}

all_rounds() {
	round=1
	while [ $round -le "$ROUNDS" ]; do
		one_round || { echo "in round $round"; return 1; }
		[ $round -ne $SETTLED ] || kernel_memory_kb > /tmp/memory.settled
		round=$((round + 1))
	done
	equal rounds $((round - 1)) "$ROUNDS"
}

remember
check "rounds_$ROUNDS" all_rounds
check no_leak no_leak
check everything_is_undone undone
finish
