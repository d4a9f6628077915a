# SPDX-License-Identifier: GPL-2.0-only
#
# The part of the group `steal` of `make bench` that runs in the guest: steal.sh WHAT [ARGUMENT...]. Each
# measurement is a line whose first word says what it is. bench/steal.py makes tables of them.
set -eu
. /bench/load.sh

STEAL=/sys/kernel/debug/kvmpv/steal
CPU=1

load_hooked() {
	load
	[ "$(awk '$1 == "hooked" { print $2 }' $STEAL/hook)" = yes ]
}

# NAME STATE TIMES
steps() {
	echo "$1 $3" > $BENCH/steps
	echo "steps $1 $2 $(awk 'NR == 2 { print $2 }' $BENCH/steps)"
	awk -v name="$1" -v state="$2" 'NR > 2 { print "step", name, state, $0 }' $BENCH/steps
}

# ROUNDS CALLS TIMES
clocks() {
	load_hooked
	insmod /kvmpv/kvmpv_bench.ko
	for attribution in off on; do
		[ $attribution = off ] || echo 1 > $STEAL/attribution
		echo "$1 $2" > $BENCH/steal
		awk -v state=$attribution 'NR > 2 { print "timing", state, $2, $3, $4 }' $BENCH/steal
		steps kvm_steal_clock $attribution "$3"
		steps kvmpv_steal_clock $attribution "$3"
	done
	steps sched_switch on "$3"
	echo 0 > $STEAL/attribution
	# Then nothing is hooked into context switches.
	! echo sched_switch > $BENCH/steps
	unload_both
}

# NAME BATCHES TRIPS
turn() {
	echo "turn $1 $(/bench/ping_pong $CPU "$2" "$3")"
}

# ROUNDS BATCHES TRIPS: measures twice without the module, which shows how far two measurements of the same
# thing are apart. What comes first in one round comes last in the next.
switches() {
	round=0
	while [ $round -lt "$1" ]; do
		if [ $((round % 2)) = 0 ]; then
			turn not-loaded "$2" "$3"
			turn again "$2" "$3"
			load_hooked
			turn off "$2" "$3"
			echo 1 > $STEAL/attribution
			turn on "$2" "$3"
			unload
		else
			load_hooked
			echo 1 > $STEAL/attribution
			turn on "$2" "$3"
			echo 0 > $STEAL/attribution
			turn off "$2" "$3"
			unload
			turn again "$2" "$3"
			turn not-loaded "$2" "$3"
		fi
		round=$((round + 1))
	done
}

# The same in a guest with one CPU, where executed_plugin.c counts.
counted() {
	CPU=0
	switches "$@"
}

# What `clocks` and `switches` need, in this order.
all() {
	switches "$4" "$5" "$6"
	clocks "$1" "$2" "$3"
}

"$@"
