# SPDX-License-Identifier: GPL-2.0-only
#
# Compares the guest's steal time with what the host knows: the time for which each vCPU's thread could have run
# and did not (tests/host/steal_host.py). Not by run.sh, which keeps the output until the end.
. /tests/lib.sh
. /tests/steal/lib.sh

SECONDS_WATCHED=20
exec 3>&1 4>&2

# Values of all CPUs, in their order.
stolen() {
	awk 'NR > 2 { printf "%s ", $2 }' $STEAL/cpus
}
carried() {
	awk 'NR > 2 { printf "%s ", $5 }' $STEAL/cpus
}
stolen_by_stat() {
	awk '/^cpu[0-9]/ { printf "%.0f ", $9 * 10000000 }' /proc/stat
}

# What tasks, idle and others were charged since the reset, if it adds up to what the clocks have grown by.
charged() {
	awk '
		FNR == 2 { whole = $4 }
		FNR == 3 { for (i = 1; i <= NF; i++) if ($i == "steal_ns") at = i }
		FNR > 3 { parts += $at; if ($1 == "task") tasks++ }
		END {
			if (parts != whole || !tasks) print "parts-of-" whole "-are"
			printf "%.0f ", parts
		}' $STEAL/tasks
}

# The host reads its own figures and the records at one moment. At that moment our clocks show the record plus the
# carry, which lies between what they show before and after.
mark() {
	before=$(stolen)
	stat_before=$(stolen_by_stat)
	charged_before=$(charged)
	ask_host truth $records
	charged_after=$(charged)
	echo "$before$answer $(carried)$(stolen)$stat_before$(stolen_by_stat)$charged_before$charged_after"
}

# compare WHAT LEAST_NS: between two markers our steal time and the host's agree within 2 %, or within LEAST_NS if
# that is more. /proc/stat agrees, too, and what was charged to tasks, idle and others agrees with the host's sum.
compare() {
	cat /tmp/begin /tmp/end | awk -v what="$1" -v least="$2" '
		# Columns: n before, n times delay and record, n carried, n after, n of /proc/stat before, n after, charged before, after.
		{
			n = (NF - 2) / 7
			charged_before[NR] = $(NF - 1)
			charged_after[NR] = $NF
			if ($0 ~ /parts/) { print; bad = 1 }
			for (cpu = 0; cpu < n; cpu++) {
				at = cpu + 1
				host[NR, cpu] = $(n + 2 * cpu + 1)
				shown[NR, cpu] = $(n + 2 * cpu + 2) + $(3 * n + at)
				if (shown[NR, cpu] < $at || shown[NR, cpu] > $(4 * n + at)) { print "CPU " cpu ": " $at ", " shown[NR, cpu] ", " $(4 * n + at); bad = 1 }
				stat[NR, cpu] = NR == 1 ? $(5 * n + at) : $(6 * n + at)
				stat_inner[NR, cpu] = NR == 1 ? $(6 * n + at) : $(5 * n + at)
			}
		}
		END {
			if (NR != 2 || !n) { print "no figures"; exit 1 }
			for (cpu = 0; cpu < n; cpu++) {
				h = host[2, cpu] - host[1, cpu]
				g = shown[2, cpu] - shown[1, cpu]
				high = stat[2, cpu] - stat[1, cpu]
				low = stat_inner[2, cpu] - stat_inner[1, cpu]
				tolerance = h * 0.02 > least ? h * 0.02 : least
				printf "%s: CPU %d: host %.3f ms, guest %.3f ms, /proc/stat %.0f to %.0f ms\n", what, cpu, h / 1e6, g / 1e6, low / 1e6, high / 1e6
				if (g < h - tolerance || g > h + tolerance) { print "not within", tolerance / 1e6, "ms"; bad = 1 }
				# /proc/stat counts in ticks of 10 ms, and steal since the last scheduler tick comes later. That may
				# be one turn of the other tasks, 60 ms.
				if (g < low - 70e6 || g > high + 70e6) { print "/proc/stat is not"; bad = 1 }
				sum += h
			}
			# The moment of the host lies between two looks at the charges.
			low = charged_before[2] - charged_after[1]
			high = charged_after[2] - charged_before[1]
			tolerance = sum * 0.02 > least ? sum * 0.02 : least
			printf "%s: host, all CPUs: %.3f ms, charged %.3f to %.3f ms\n", what, sum / 1e6, low / 1e6, high / 1e6
			if (low > sum + tolerance || high < sum - tolerance) { print "charged is not within", tolerance / 1e6, "ms"; bad = 1 }
			exit bad
		}'
}

# Shown even if everything passes.
agree() {
	compare "$@" > /tmp/compared
	agreed=$?
	cat /tmp/compared >&4
	cat /tmp/compared
	return $agreed
}

busy() {
	ask_host pin
	start_hogs
	sleep 2
	mark > /tmp/begin
	sleep $SECONDS_WATCHED
	mark > /tmp/end
	stop_hogs
	ask_host unpin
	agree busy 1000000 || return 1
	# Three threads want one CPU, so each vCPU waits for two thirds of the time.
	cat /tmp/begin /tmp/end |
		awk '{ n = (NF - 2) / 7 } NR == 1 { first = $(n + 1) } NR == 2 { exit !($(n + 1) - first > 10e9) }'
}

# Wake-ups from idle do wait for the CPU.
idle() {
	sleep 2
	mark > /tmp/begin
	sleep $SECONDS_WATCHED
	mark > /tmp/end
	agree idle 1000000
}

nothing_was_dropped() {
	for cpu in 0 1; do
		for count in backward_steps forward_steps torn_looks; do
			equal "$count of CPU $cpu" "$(steal_field $cpu $count)" 0 || return 1
		done
	done
}

begin steal
# The addresses of the records.
records=$(awk 'NR == 2 { for (i = 1; i <= NF; i++) if ($i == "steal_pa") at = i } NR > 2 { print $at }' $DEBUG/cpus)
check attributes sh -c "echo 1 > $STEAL/attribution"
check busy
check idle
check nothing_was_dropped
end steal_undone
