# SPDX-License-Identifier: GPL-2.0-only
#
# What the KVM host does for its guest, whatever its kernel is: PV EOI, steal time, and when it writes a record of the
# clock. What differs between hosts is told, not judged. The vCPUs share one host CPU. Shared mode.
. /tests/lib.sh
. /tests/steal/lib.sh
. /tests/eoi/lib.sh

SYSTEM_TIME=0x4b564d01

# clock_writes CPU: how often the host has written this CPU's record. The version rises by 2 each time.
clock_writes() {
	echo $(($(cell cpus "$1" clock_version) / 2))
}

record_0_is_written() {
	[ "$(clock_writes 0)" -gt "$was" ]
}

# Other records come later, if at all.
await_record_1() {
	for tenth in $(seq 20); do
		[ "$(clock_writes 1)" = "$others" ] || break
		sleep 0.1
	done
}

look_at_two_busy_cpus() {
	cat $DEBUG/cpus > /tmp/cpus.before
	eoi_snapshot > /tmp/eoi.before
	stolen_ns=$(stolen)
	took_ms=$(uptime_ms)
	busy_for_ticks 500 /tmp/eoi.before
	took_ms=$(($(uptime_ms) - took_ms))
	stolen_ns=$(($(stolen) - stolen_ns))
	eoi_since /tmp/eoi.before > /tmp/busy
	cat $DEBUG/cpus > /tmp/cpus.after
}

# Of all CPUs, in ns.
stolen() {
	awk '!at { for (i = 1; i <= NF; i++) if ($i == "steal_ns") at = i; next } { sum += $at } END { print sum }' \
		$STEAL/cpus
}

ends_are_elided() {
	cat /tmp/busy
	awk '$2 <= $3 { few = 1 } END { exit few || NR != 2 }' /tmp/busy
}

# While one of two busy vCPUs runs the other waits. Both wait while something else has the host's CPU. Half is for
# the moments when the tasks begin and end.
one_waits_for_the_other() {
	within "ms of steal in $took_ms ms" $((stolen_ns / 1000000)) $((took_ms / 2)) $((took_ms * 2))
}

# risen CPU NAME: of a column of `cpus`, while both CPUs were busy.
risen() {
	echo $(($(cell /tmp/cpus.after "$@") - $(cell /tmp/cpus.before "$@")))
}

begin clock
check mode_steal equal mode "$(mode steal)" shared
check mode_eoi equal mode "$(mode eoi)" shared
check path equal path "$(field clock/state path)" stable
quiet=$(clock_writes 0)
sleep 5
report "left alone for 5 s: CPU 0's record has got $(($(clock_writes 0) - quiet)) writes"
# The guest tells the host once more where the record of CPU 0 is, which is where it was.
was=$(clock_writes 0)
others=$(clock_writes 1)
check slot_is_written_anew write_msr 0 $SYSTEM_TIME "$(msr 0 $SYSTEM_TIME)"
check record_0_is_written
await_record_1
report "CPU 0's slot was written: CPU 0's record has got $(($(clock_writes 0) - was)) writes," \
	"CPU 1's $(($(clock_writes 1) - others))"
look_at_two_busy_cpus
check ends_are_elided
check one_waits_for_the_other
for cpu in 0 1; do
	report "CPU $cpu, busy: $(awk -v cpu=$cpu '$1 == cpu { print $2 " ends elided, " $3 " written" }' /tmp/busy);" \
		"its clock record has got $(($(risen $cpu clock_version) / 2)) writes," \
		"its steal record $(($(risen $cpu steal_version) / 2))"
done
report "$((stolen_ns / 1000000)) ms of steal on both CPUs in $took_ms ms"
check still_stable equal path "$(field clock/state path)" stable
report "events: $(awk 'NR > 3 { printf "%s of CPU %s; ", $4, $3 }' $DEBUG/events)"
end
