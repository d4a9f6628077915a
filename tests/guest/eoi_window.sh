# SPDX-License-Identifier: GPL-2.0-only
#
# A known number of interrupts of each kind, for the host to count between the marks; then what
# kvmpv, if it is loaded, has counted of them. The traffic goes out on stderr.
. /tests/lib.sh
. /tests/eoi_lib.sh

IPIS=${IPIS:-4000}
TICKS=${TICKS:-500}
LINES=${LINES:-200}

# First and last, or the host counts what the guest does not.
[ -e $DEBUG ] || { DEBUG=/tmp/none; mkdir -p $DEBUG/eoi; : > $DEBUG/eoi/cpus; }
eoi_snapshot > /tmp/before
insmod /kvmpv/kvmpv_storm.ko
mkfifo /tmp/never
echo "$IPIS" > $STORM/self
echo $((IPIS / 20)) > $STORM/remote
line=0
while [ $line -lt "$LINES" ]; do
	echo 'traffic' >&2
	read -r -t 0.01 _ <> /tmp/never
	line=$((line + 1))
done
eoi_snapshot > /tmp/ticks
busy_for_ticks "$TICKS" /tmp/ticks
eoi_since /tmp/before > /tmp/window
awk '{ elided += $2; written += $3; taken += $4 }
	END { print "elided", elided; print "written", written; print "taken", taken }' /tmp/window
