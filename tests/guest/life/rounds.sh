# SPDX-License-Identifier: GPL-2.0-only
#
# 200 times: load, use every feature, wait for an event, release the clock, unload, and everything is as before.
# Meanwhile a storm of interrupts makes both vCPUs contend for their host CPU. A leak shows between round 50 and
# round 200. MODE: shared or owned (nopv).
. /tests/lib.sh
. /tests/steal/lib.sh
. /tests/eoi/lib.sh

ROUNDS=${ROUNDS:-200}
SETTLED=50
WATCH_PAUSE=0.5

# The slots that are taken in owned mode, and the value that is set. `undone` checks all other MSRs at the end.
slots() {
	for slot in 0x4b564d01 0x4b564d03 0x4b564d04 0x4b564d05; do
		rdmsr -a -c $slot
	done
}

# Timekeeping used our clock, and the clock advanced.
clock_moves() {
	select_clocksource kvmpv || return 1
	first=$(field clock/state now_ns)
	equal current "$(field clock/state current)" yes || return 1
	second=$(field clock/state now_ns)
	[ "$second" -gt "$first" ] || { echo "the clock stood still at $first ns"; return 1; }
	select_clocksource "$native"
}

# The kernel asked our steal clock, and steal grew both in its account and in ours.
steal_is_asked_for() {
	steal_clock_is 'kvmpv_steal_clock \[kvmpv\]' &&
		grows steal_field $((round % 2)) bursts && grows stat_steal ""
}

# A program waits for an event by poll(2): it keeps the module, is woken, and leaves nothing behind.
event_is_awaited() {
	/tests/at_once event > /tmp/waits &
	waiter=$!
	read -r said < /tmp/waits
	equal said "$said" waits && fails_with 'busy|unavailable' rmmod kvmpv || return 1
	echo 1 > $DEBUG/clock/force_unstable && wait $waiter
}

# The host was told not to poll, and wake-ups were counted.
halts_are_counted() {
	echo 0 > $DEBUG/halt_poll/control && echo 1 > $DEBUG/halt_poll/accounting || return 1
	equal "poll control" "$(rdmsr -a -c 0x4b564d05 | tr '\n' ' ')" '0x0 0x0 ' &&
		grows cell halt_poll/cpus 0 wakeups
}

# Unloading takes the probe away. In owned mode there is nothing to count.
waits_are_counted() {
	[ "$MODE" = shared ] || return 0
	echo 1 > $DEBUG/async_pf/accounting && equal waiting "$(cell async_pf/cpus 0 waiting)" 0
}

one_round() {
	account=$(stat_steal "")
	load || return 1
	clock_moves && steal_is_asked_for && grows total_elided && halts_are_counted && waits_are_counted && event_is_awaited || return 1
	rmmod kvmpv || return 1
	[ "$(stat_steal "")" -gt "$account" ] || { echo "steal went from $account to $(stat_steal "")"; return 1; }
	! available kvmpv || return 1
	hooks | diff /tmp/hooks.before - && slots | diff /tmp/slots.before -
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

nothing_was_lost() {
	equal lost "$(awk '$1 == "lost" { print $2 }' $STORM/result)" 0 &&
		equal "sent and not handled" \
			"$(awk '{ n[$1] = $2 } END { print n["sent"] - n["handled"] }' $STORM/result)" 0
}

remember
native=$(current_clocksource)
slots > /tmp/slots.before
mkfifo /tmp/waits
insmod /kvmpv/kvmpv_storm.ko
echo 1 > $STORM/busy
start_watch
check "rounds_$ROUNDS" all_rounds
check no_leak
check proc_stat_never_lied watch_found_nothing "$ROUNDS"
echo 0 > $STORM/busy
check no_interrupt_was_lost nothing_was_lost
check nothing_in_service equal in_service "$(awk 'NF > 1' $STORM/in_service)" ''
check no_word_was_left_set lacks "$(dmesg)" 'kvmpv: eoi: '
rmmod kvmpv_storm
check everything_is_undone undone
finish
