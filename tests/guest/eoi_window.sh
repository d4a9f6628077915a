# SPDX-License-Identifier: GPL-2.0-only
#
# Makes a known number of interrupts of each kind, which the host counts between two marks. Then prints, as one
# name and one number per line, what was made and, if kvmpv is loaded, what kvmpv has counted. The bracket is the
# least and the most that kvmpv can have counted between the marks themselves (mark.c).
. /tests/lib.sh
. /tests/eoi_lib.sh

# The first three numbers are per CPU.
TIMERS=${TIMERS:-2000}
IPIS=${IPIS:-4000}
REMOTE=${REMOTE:-200}
WRITES=${WRITES:-200}

[ -e $DEBUG ] || { DEBUG=/tmp/none; mkdir -p $DEBUG/eoi; : > $DEBUG/eoi/cpus; }

# mark PORT NAME
mark() {
	/tests/mark "$1" $DEBUG/eoi/cpus "/tmp/$2.before" "/tmp/$2.after"
}

# sums FROM TO: sums over all CPUs of ends without an exit, and of all ends.
sums() {
	awk 'FNR > 2 { sign = FILENAME == ARGV[1] ? -1 : 1; elided += sign * $2; ends += sign * ($2 + $3) }
		END { print elided + 0, ends + 0 }' "$1" "$2"
}

set -e
insmod /kvmpv/kvmpv_storm.ko
eoi_snapshot > /tmp/before
mark "$KVMPV_MARK" begin
echo "$TIMERS" > $STORM/timer
echo "$IPIS" > $STORM/self
echo "$REMOTE" > $STORM/remote
/tests/waited_writes /dev/vport1p1 "$WRITES" virtio1-
mark $((KVMPV_MARK + 1)) end
eoi_since /tmp/before > /tmp/window
cpus=$(online_cpus)
echo "cpus $cpus"
# Bit 10 of IA32_APIC_BASE on all CPUs.
[ "$(rdmsr -a -u 0x1b | awk '{ print int($1 / 1024) % 2 }' | sort -u | wc -l)" = 1 ]
echo "x2apic $(($(rdmsr -p 0 -c 0x1b) >> 10 & 1))"
echo "timer $((TIMERS * cpus))"
echo "self_ipi $((IPIS * cpus))"
echo "other_ipi $((REMOTE * cpus))"
echo "virtio $WRITES"
awk '{ ends += $2 + $3; taken += $4 } END { print "ends", ends; print "taken", taken }' /tmp/window
sums /tmp/begin.after /tmp/end.before | awk '{ print "elided_least", $1; print "ends_least", $2 }'
sums /tmp/begin.before /tmp/end.after | awk '{ print "elided_most", $1; print "ends_most", $2 }'
