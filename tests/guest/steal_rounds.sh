# SPDX-License-Identifier: GPL-2.0-only
#
# 200 times under contention: load, be asked, lose time, unload. A leak shows between round 50 and round 200.
# MODE: shared or owned (nopv).
. /tests/lib.sh
. /tests/steal_lib.sh

ROUNDS=${ROUNDS:-200}
SETTLED=50

# The kernel must have asked us, and something must have been stolen, in its account and in ours.
one_round() {
	account=$(stat_steal "")
	load clock=0 || return 1
	steal_clock_is 'kvmpv_steal_clock \[kvmpv\]' || return 1
	grows steal_field $((round % 2)) bursts || return 1
	grows stat_steal "" || return 1
	rmmod kvmpv || return 1
	[ "$(stat_steal "")" -gt "$account" ] || { echo "steal went from $account to $(stat_steal "")"; return 1; }
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
start_hogs
start_watch
check "rounds_$ROUNDS" all_rounds
check no_leak no_leak
check proc_stat_never_lied watch_found_nothing "$ROUNDS"
stop_hogs
check everything_is_undone undone
finish
