# SPDX-License-Identifier: GPL-2.0-only
#
# Many times: load, use every feature, wait for an event, release the clock, unload, and everything is as before.
# Meanwhile a storm of interrupts makes both vCPUs contend for their host CPU. A leak shows in the rounds after the
# first quarter. MODE: shared or owned (nopv).
. /tests/lib.sh
. /tests/steal/lib.sh
. /tests/eoi/lib.sh

ROUNDS=${ROUNDS:-60}
SETTLED=$((ROUNDS / 4))
WATCH_PAUSE=0.5

# A round starts few processes: under the storm each takes a fifteenth of a second.

# The slots that are taken in owned mode, and the value that is set. `undone` checks all other MSRs at the end.
slots() {
	/tests/msrs clock=0x4b564d01 steal=0x4b564d03 eoi=0x4b564d04 poll=0x4b564d05
}

# Sets $account to the steal time in the kernel's account, of all CPUs.
read_account() {
	read -r _ _ _ _ _ _ _ _ account _ < /proc/stat
}

# Sets $now_ns and $is_current.
read_clock() {
	while read -r name value; do
		case $name in
		now_ns) now_ns=$value ;;
		current) is_current=$value ;;
		esac
	done < $DEBUG/clock/state
}

select_clock() {
	echo "$1" > $CLOCKSOURCE/current_clocksource
	read -r current < $CLOCKSOURCE/current_clocksource
	equal current_clocksource "$current" "$1"
}

# Timekeeping used our clock, and the clock advanced.
clock_moves() {
	select_clock kvmpv && read_clock || return 1
	first=$now_ns
	equal current "$is_current" yes && read_clock || return 1
	[ "$now_ns" -gt "$first" ] || { echo "the clock stood still at $first ns"; return 1; }
	select_clock "$native"
}

# Sets $bursts to those of one CPU, and $elided to the ends of all.
read_counts() {
	awk -v cpu=$((round % 2)) '
		FNR == 2 { for (i = 1; i <= NF; i++) if ($i == "bursts") at = i }
		FILENAME ~ /steal/ && $1 == cpu { bursts = $at }
		FILENAME ~ /eoi/ && FNR > 2 { elided += $2 }
		END { print bursts, elided }' $STEAL/cpus $DEBUG/eoi/cpus > /tmp/counts
	read -r bursts elided < /tmp/counts
}

# The kernel asked our steal clock, and steal grew both in its account and in ours. Ends of interrupts were elided.
all_move() {
	read_account
	read_counts
	from="$account $bursts $elided"
	tries=0
	# shellcheck disable=SC2086 # several words
	until set -- $from && [ "$account" -gt $1 ] && [ "$bursts" -gt $2 ] && [ "$elided" -gt $3 ]; do
		tries=$((tries + 1))
		[ $tries -le 300 ] || { echo "from $from only to $account $bursts $elided"; return 1; }
		read -r -t 0.1 _ <> /tmp/never
		read_account
		read_counts
	done
}

# A program waits for an event by poll(2): it keeps the module, is woken, and leaves nothing behind.
event_is_awaited() {
	/tests/at_once event > /tmp/waits &
	waiter=$!
	read -r said < /tmp/waits
	equal said "$said" waits && fails_with 'busy|unavailable' rmmod kvmpv || return 1
	echo 1 > $DEBUG/clock/force_unstable && wait $waiter
}

polling_is_forbidden() {
	echo 0 > $DEBUG/halt_poll/control && equal "poll control" "$(/tests/msrs poll=0x4b564d05)" 'poll 0x0 0x0'
}

# In every eighth round: the kernel patches its text for each of six tracepoints, which takes seconds under the storm.
wakeups_are_counted() {
	[ $((round % 8)) -eq 0 ] || return 0
	echo 1 > $DEBUG/halt_poll/accounting && grows cell halt_poll/cpus 0 wakeups
}

# In every eighth round likewise. Unloading takes the probe away. In owned mode there are no such waits.
page_waits_are_counted() {
	[ "$MODE" = shared ] && [ $((round % 8)) -eq 4 ] || return 0
	echo 1 > $DEBUG/async_pf/accounting && contains "$(cat $DEBUG/async_pf/state)" '^accounting  *yes$'
}

one_round() {
	read_account
	before=$account
	load || return 1
	clock_moves && steal_clock_is 'kvmpv_steal_clock \[kvmpv\]' && all_move || return 1
	polling_is_forbidden && wakeups_are_counted && page_waits_are_counted && event_is_awaited || return 1
	rmmod kvmpv && read_account || return 1
	[ "$account" -gt "$before" ] || { echo "steal went from $before to $account"; return 1; }
	read -r clocks < $CLOCKSOURCE/available_clocksource
	case " $clocks " in
	*" kvmpv "*) echo "clocks: $clocks"; return 1 ;;
	esac
	slots > /tmp/slots.after
	cmp /tmp/hooks.before /proc/kvmpv_probe && cmp /tmp/slots.before /tmp/slots.after
}

all_rounds() {
	round=1
	while [ $round -le "$ROUNDS" ]; do
		one_round || { echo "in round $round"; return 1; }
		[ $round -ne $SETTLED ] || settled_memory_kb > /tmp/memory.settled
		[ $round -ne "$ROUNDS" ] || settled_memory_kb > /tmp/memory.last
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
mkfifo /tmp/waits /tmp/never
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
