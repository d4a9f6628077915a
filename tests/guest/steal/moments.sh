# SPDX-License-Identifier: GPL-2.0-only
#
# What stands in one row was true at one moment. Needs steal (one_cpu.py).
. /tests/lib.sh
. /tests/steal/lib.sh

# The kernel accounts what our clock has told it, so no moment has more accounted than told.
accounted_is_never_ahead() {
	for look in $(seq 100); do
		awk -v look="$look" '
			NR == 2 { for (i = 1; i <= NF; i++) at[$i] = i }
			NR > 2 && $at["accounted_ns"] > $at["steal_ns"] {
				print "look " look ": CPU " $1 ": accounted " $at["accounted_ns"] " of " $at["steal_ns"]
				bad = 1
			}
			NR > 2 && $at["steal_ns"] > 0 { stolen = 1 }
			END { exit bad || !stolen }' $STEAL/cpus || return 1
	done
}

begin steal
start_hogs
check steals_cpu_0 grows steal_field 0 accounted_ns
check steals_cpu_1 grows steal_field 1 accounted_ns
check accounted_is_never_ahead
stop_hogs
end
