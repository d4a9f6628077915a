# SPDX-License-Identifier: GPL-2.0-only
#
# Time stamps of ptp_kvm while kvmpv is the clock. They are precise if kvmpv carries kvm-clock's ID and is the same
# counter; otherwise programs fall back to others. MODE: shared or owned (nopv, vdso=1: ptp_kvm needs the page
# for user space, which is never freed).
. /tests/lib.sh

# Whether the kernel identifies clocksources by ID.
case $(uname -r) in
6.1.*) IDS=no ;;
*) IDS=yes ;;
esac

stamps() {
	/tests/ptp_stamps /dev/ptp0 "$1"
}

# Both kinds of stamps agree on how far the host's clock is from ours: within the error of the second kind, and a
# millisecond in case the guest was preempted between the two.
precise_is_right() {
	precise=$(stamps precise) || { echo "$precise"; return 1; }
	sampled=$(stamps sampled) || { echo "$sampled"; return 1; }
	contains "$precise" '^ok ' && contains "$sampled" '^ok ' || return 1
	echo "$precise $sampled" > /tmp/stamps
	set -- $precise $sampled
	within "difference of the offsets" $(($2 - $5)) $((-$6 / 2 - 1000000)) $(($6 / 2 + 1000000)) &&
		within "offset" "$2" -5000000000 5000000000
}

# chrony and phc2sys then use these.
falls_back() {
	equal precise "$(stamps precise)" ENODEV && contains "$(stamps sampled)" '^ok '
}

precise_where_told_by_number() {
	if [ $IDS = yes ]; then precise_is_right; else falls_back; fi &&
		equal kvm_clock_id "$(field clock/state kvm_clock_id)" $IDS
}

guarded_falls_back() {
	echo 1 > $DEBUG/clock/force_unstable || return 1
	falls_back && equal kvm_clock_id "$(field clock/state kvm_clock_id)" no || return 1
	echo 0 > $DEBUG/clock/force_unstable && precise_where_told_by_number
}

precise_on_native() {
	select_clocksource kvm-clock && precise_is_right
}

remember
if [ "$MODE" = shared ]; then
	check loads_ptp_kvm insmod /tests/ptp_kvm.ko
	check precise_before precise_is_right
	check loads load
	check selects select_clocksource kvmpv
else
	check no_ptp_kvm_before fails_with 'not supported' insmod /tests/ptp_kvm.ko
	check loads load vdso=1
	check loads_ptp_kvm insmod /tests/ptp_kvm.ko
	check expect_kept_page
fi
check is_the_clock equal current "$(current_clocksource)" kvmpv
check precise_where_told_by_number
report "$(uname -r) $MODE: precise, sampled: $(cat /tmp/stamps 2> /dev/null)"
check guarded_falls_back
[ "$MODE" = owned ] || check precise_on_native
check ptp_kvm_goes rmmod ptp_kvm
[ "$MODE" = shared ] || check selects_another select_first_clocksource
end
