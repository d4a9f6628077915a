# SPDX-License-Identifier: GPL-2.0-only
#
# What /proc/interrupts and kvmpv in the folder $DEBUG have counted. Sourced.

STORM=/sys/kernel/debug/kvmpv_storm

# A row per CPU: cpu elided written taken LOC. One process reads both files, or the interrupts in
# between would be counted once. Taken is what /proc/interrupts has without the rows that are no
# interrupts of their own (TLB) or end without an EOI.
eoi_snapshot() {
	awk '
		FILENAME ~ /eoi/ && FNR == 2 { for (i = 1; i <= NF; i++) at[$i] = i }
		FILENAME ~ /eoi/ && FNR > 2 { elided[$1] = $at["elided"]; written[$1] = $at["written"] }
		FILENAME ~ /proc/ && FNR == 1 { cpus = NF; for (i = 1; i <= NF; i++) name[i] = substr($i, 4) }
		FILENAME ~ /proc/ && FNR > 1 && $1 !~ /^(TLB|NMI|PMI|MCE|MCP|ERR|MIS|RTR):$/ {
			for (i = 1; i <= cpus; i++) taken[i] += $(i + 1) }
		FILENAME ~ /proc/ && $1 == "LOC:" { for (i = 1; i <= cpus; i++) ticks[i] = $(i + 1) }
		END { for (i = 1; i <= cpus; i++)
			print name[i], elided[name[i]] + 0, written[name[i]] + 0, taken[i], ticks[i] }
	' $DEBUG/eoi/cpus /proc/interrupts
}

# eoi_since FILE: the difference between now and the snapshot in FILE, in the same columns.
eoi_since() {
	eoi_snapshot | awk -v before="$1" '
		{ getline line < before; split(line, was)
		  print $1, $2 - was[2], $3 - was[3], $4 - was[4], $5 - was[5] }'
}
