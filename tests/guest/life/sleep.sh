# SPDX-License-Identifier: GPL-2.0-only
#
# Over sleeps, on the native clock and on ours, as much time passes by the host's clock as by the guest's.
# tests/host/life.py reads the host's clock.
. /tests/lib.sh

SECONDS_ASLEEP=5

# Reads the host's clock between two reads of ours, in ms.
look() {
	before_ms=$(uptime_ms)
	ask_host now
	after_ms=$(uptime_ms)
}

# However long the host takes to answer, the time between two answers lies between that of the nearest and that of
# the farthest reads. Sleeps until these are close enough to find a clock that is wrong by an eighth.
sleeps() {
	look
	first_before_ms=$before_ms first_host_ms=$answer first_after_ms=$after_ms
	for round in 1 2 3 4 5 6 7 8 9 10 11 12; do
		sleep $SECONDS_ASLEEP
		look
		host_ms=$((answer - first_host_ms))
		least_ms=$((before_ms - first_after_ms))
		most_ms=$((after_ms - first_before_ms))
		[ $(((most_ms - least_ms) * 8)) -gt $least_ms ] || break
	done
	echo "# $1: in $round sleeps $host_ms ms passed for the host, $least_ms to $most_ms for the guest" >&3
	[ $(((most_ms - least_ms) * 8)) -le $least_ms ] || { echo "the host took too long to answer"; return 1; }
	within "ms of sleep" $least_ms $((round * SECONDS_ASLEEP * 1000 - 10)) 900000 || return 1
	# The host may slew one of its clocks by 500 ppm, and the guest's shows hundredths of a second.
	within "ms by the host's clock" $host_ms \
		$((least_ms - least_ms / 1000 - 12)) $((most_ms + most_ms / 1000 + 12))
}

remember
check sleeps_native sleeps native
check loads load
check selects select_clocksource kvmpv
check sleeps sleeps kvmpv
check is_current equal current "$(field clock/state current)" yes
check selects_native_again select_clocksource kvm-clock
end
