# SPDX-License-Identifier: GPL-2.0-only
#
# Functions of the PV EOI tests. Source it after lib.sh.

. /lab/eoi_counts.sh

# Every EOI of the rows in FILE was counted, within 1 % or within what comes between the reads of the two
# files, for which a busy host takes some ticks (9 have been seen).
every_end_is_counted() {
	awk '
		{ counted = $2 + $3; off = counted - $4; if (off < 0) off = -off
		  if (off * 100 > $4 && off > 15) { print "CPU " $1 ": " counted " ends, " $4 " interrupts"; bad = 1 } }
		END { exit bad || NR == 0 }' "$1"
}

# most_elided FILE: nine in ten were elided on each CPU, of at least 1,000 ticks.
most_elided() {
	awk '
		$5 < 1000 { print "CPU " $1 ": only " $5 " ticks"; bad = 1 }
		$2 * 10 < ($2 + $3) * 9 { print "CPU " $1 ": " $2 " elided, " $3 " written"; bad = 1 }
		END { exit bad || NR == 0 }' "$1"
}

# Runs two tasks that never sleep until each CPU has had N ticks since FILE.
busy_for_ticks() {
	busy_tasks=""
	for task in $(seq "$(online_cpus)"); do
		while :; do :; done &
		busy_tasks="$busy_tasks $!"
	done
	until eoi_since "$2" | awk -v ticks="$1" '$5 < ticks { few = 1 } END { exit few }'; do
		sleep 1
	done
	kill $busy_tasks
}

total_elided() {
	awk 'NR > 2 { sum += $2 } END { print sum + 0 }' $DEBUG/eoi/cpus
}

eoi_reason() {
	awk -v cpu="$1" 'NR > 2 && $1 == cpu { for (i = 1; i < 8; i++) $i = ""; sub(/^ +/, ""); print }' \
		$DEBUG/eoi/cpus
}

# The symbol of the kernel's EOI callback, from the probe.
eoi_callback() {
	hooks | awk '$1 == "apic" && $2 == "eoi_write" { print $3 }
		$1 == "static_call" && $2 == "apic_call_eoi" { print $3 }'
}

# write_msr CPU NUMBER VALUE, through the kernel's msr driver.
write_msr() {
	bytes=""
	left=$(($3))
	for byte in 1 2 3 4 5 6 7 8; do
		bytes="$bytes$(printf '\\%03o' $((left & 255)))"
		left=$((left >> 8))
	done
	exec 9<> "/dev/cpu/$1/msr"
	# Moves the file position to the register and writes nothing. The kernel warns about the rest.
	dd bs=1 count=0 seek=$(($2)) >&9 2> /dev/null < /dev/null
	printf "$bytes" >&9
	exec 9>&-
	equal "MSR $2 of CPU $1" "$(($(msr "$1" "$2")))" "$(($3))"
}

# report_ends WHAT FILE: shows the rows of FILE with the results.
report_ends() {
	echo "# $1: $(awk '{ printf "CPU %s elided %d written %d interrupts %d; ", $1, $2, $3, $4 }' "$2")"
}
