# SPDX-License-Identifier: GPL-2.0-only
#
# `status` says whether kvmpv is the kernel's clocksource watchdog. MODE: shared or owned (nopv).
. /tests/lib.sh


watchdog() {
	sed -n 's/^watchdog: //p' $DEBUG/status
}

# The kernel's own kvm-clock has a higher rating, or there is none and the others are devices.
expected_of() {
	if [ "$1" -gt "$other" ]; then
		# If the kernel trusts its TSC it may have no clocksource to check.
		[ -z "$tsc" ] || echo 'kvmpv is the clock by which the kernel judges the TSC'
		echo 'kvmpv, with nothing to judge'
	else
		echo 'another clocksource'
	fi
}

rated() {
	load clock_rating="$1" || return 1
	said=$(watchdog)
	select_first_clocksource && rmmod kvmpv || return 1
	expected_of "$1" | grep -qxF "$said" || { echo "watchdog at rating $1 is '$said'"; return 1; }
}

remember
# The highest-rated clocksource that need not be verified: kvm-clock or hpet.
[ "$MODE" = shared ] && other=400 || other=250
tsc=$(grep -w tsc $CLOCKSOURCE/available_clocksource)
check above rated 450
check below rated 100
check everything_is_undone undone
finish
