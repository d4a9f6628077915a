# SPDX-License-Identifier: GPL-2.0-only
#
# 200 times under a storm of interrupts: load, elide, unload, and everything is as before. A leak
# shows between round 50 and round 200.
. /tests/lib.sh
. /tests/eoi_lib.sh

ROUNDS=${ROUNDS:-200}
SETTLED=50

one_round() {
	load clock=0 || return 1
	first=$(total_elided)
	# A moment of the storm.
	awk 'BEGIN { for (i = 0; i < 20000; i++) x += i }'
	second=$(total_elided)
	rmmod kvmpv || return 1
	[ "$second" -gt "$first" ] || { echo "$first elided, then $second"; return 1; }
	hooks | diff /tmp/hooks.before - || return 1
	rdmsr -a -c 0x4b564d04 | diff /tmp/eoi.before -
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
rdmsr -a -c 0x4b564d04 > /tmp/eoi.before
insmod /kvmpv/kvmpv_storm.ko
echo 1 > $STORM/busy
check "rounds_$ROUNDS" all_rounds
check no_leak no_leak
echo 0 > $STORM/busy
check nothing_was_lost nothing_was_lost
check nothing_in_service equal in_service "$(awk 'NF > 1' $STORM/in_service)" ''
check no_word_was_left_set lacks "$(dmesg)" 'kvmpv: eoi: '
rmmod kvmpv_storm
check everything_is_undone undone
finish
