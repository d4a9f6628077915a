# SPDX-License-Identifier: GPL-2.0-only
#
# Functions for the warp test of kvmpv_bench.ko. Source it after lib.sh.

BENCH=/sys/kernel/debug/kvmpv_bench
READS=1000000
CPUS=$(online_cpus)

start_warp() {
	echo "$1 $2" > $BENCH/warp
}

# After all threads are done: the sum of column COLUMN. First checks that the test has tested anything: every thread
# made all its reads, and reads of other threads came in between.
steps() {
	cat $BENCH/warp_end > /tmp/warp
	cat /tmp/warp >&2
	awk -v cpus="$CPUS" -v reads="$2" -v column="$1" '
		NR == 3 { for (i = 1; i <= NF; i++) at[$i] = i }
		NR > 3 { rows++; few += $at["reads"] < reads; handovers += $at["handovers"]; sum += $at[column] }
		END { print (rows == cpus && !few && handovers >= 4 * cpus ? sum : "unknown") }' /tmp/warp
}

no_steps() {
	equal "own steps" "$(steps own_steps $READS)" 0 && equal "steps across CPUs" "$(steps across_steps $READS)" 0
}
