# SPDX-License-Identifier: GPL-2.0-only
#
# A guest whose kernel has registered everything. Load, read the files, select, release, unload.
. /tests/lib.sh

# 400, or 299 if the TSC is good enough to be preferred (arch/x86/kernel/kvmclock.c).
native_rating() {
	if grep -qw constant_tsc /proc/cpuinfo && grep -qw nonstop_tsc /proc/cpuinfo; then
		echo 299
	else
		echo 400
	fi
}

# `status` has this row below the header "clocksource rating ...".
status_rating() {
	awk '$1 == "kvmpv" && $2 ~ /^[0-9]+$/ { print $2 }' $DEBUG/status
}

refuses_bad_parameters() {
	for bad in clock_rating=500 clock_rating=-1 clock=2 clock_rating=x legacy=2; do
		fails_with 'nvalid' load $bad || return 1
	done
	undone
}

loads_without_clock() {
	load clock=0 || return 1
	equal mode "$(mode clock)" off && contains "$(reason clock)" 'disabled by a module parameter' &&
		! available kvmpv && rmmod kvmpv && undone
}

# With the highest rating the kernel selects it by itself, and leaves it by rating, too. This must come before
# the first write to current_clocksource, which overrides all ratings from then on.
rating_selects_and_releases() {
	load clock_rating=450 || return 1
	equal current "$(current_clocksource)" kvmpv || return 1
	fails_with 'busy|unavailable' rmmod kvmpv || return 1
	echo 1 > $DEBUG/clock/release || return 1
	equal current "$(current_clocksource)" "$before" || return 1
	equal rating "$(field clock/state rating)" 1 || return 1
	rmmod kvmpv && undone
}

features_are_named() {
	features=$(cat $DEBUG/features)
	for name in CLOCKSOURCE CLOCKSOURCE2 STEAL_TIME PV_EOI CLOCKSOURCE_STABLE_BIT; do
		contains "$features" "yes +KVM_FEATURE_$name\$" || return 1
	done
	contains "$features" '^edx +0 +no +KVM_HINTS_REALTIME$'
}

# 6.1 has no trace event of such calls.
counts_ipi_calls_where_it_can() {
	parameter=/sys/module/kvmpv/parameters/ipi_count
	equal ipi_count "$(cat $parameter)" 0 || return 1
	case $(uname -r) in
	6.1.*)
		fails_with 'No such device' sh -c "echo 1 > $parameter" && equal ipi_count "$(cat $parameter)" 0
		return
		;;
	esac
	echo 1 > $parameter && equal ipi_count "$(cat $parameter)" 1 || return 1
	equal rows "$(($(wc -l < $DEBUG/ipi/cpus) - 2))" "$(online_cpus)" || return 1
	# Stays on: it has to go with the module.
	fails_with 'nvalid' sh -c "echo 2 > $parameter"
}

release_reports_the_override() {
	fails_with 'busy' sh -c "echo 1 > $DEBUG/clock/release" || return 1
	equal current "$(current_clocksource)" kvmpv || return 1
	contains "$(cat $DEBUG/clock/release)" '^override yes: .*current_clocksource' || return 1
	contains "$(dmesg | tail -3)" 'kvmpv: release: .*current_clocksource' || return 1
	echo 0 > $DEBUG/clock/release && equal rating "$(field clock/state rating)" "$rating"
}

release_refuses_bad_input() {
	for bad in 2 '' 11 -1 yes '1 1' aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; do
		fails_with 'nvalid' sh -c "echo '$bad' > $DEBUG/clock/release" || return 1
	done
	equal rating "$(field clock/state rating)" "$rating"
}

mode_is_shared() {
	equal mode "$(mode "$1")" shared &&
		contains "$(reason "$1")" "the kernel uses it on $(online_cpus) of $(online_cpus) CPUs"
}

before=$(current_clocksource)
remember

check refuses_bad_parameters
check loads_without_clock
check rating_selects_and_releases

# steal.sh and eoi.sh test the hooks.
check loads load steal_hook=0 eoi_hook=0
check loading_changes_no_msr_and_no_hook sh -c '. /tests/lib.sh; all_msrs | diff /tmp/msrs.before - && hooks | diff /tmp/hooks.before -'
check loading_changes_no_selection equal current "$(current_clocksource)" "$before"
check is_available available kvmpv
check mode_clock mode_is_shared clock
check mode_steal mode_is_shared steal
check mode_eoi mode_is_shared eoi
rating=$(($(native_rating) - 1))
check rating_is_one_below_native equal rating "$(status_rating)" $rating
check path equal path "$(field clock/state path)" "${EXPECT_PATH:-stable}"
check features_are_named
check hypercalls_as_the_kernel_has_said
check hypercalls_are_offered contains "$(awk '$1 == "KVM_HC_SEND_IPI" { print $3, $4 }' $DEBUG/features)" '^yes yes$'
check counts_ipi_calls_where_it_can
check cpus_equal_msrs
check version_lines sh -c "for f in status features cpus clock/state clock/release; do head -n 1 $DEBUG/\$f | grep -qx 'version 1' || exit 1; done"
check now_rises_unselected rises_by_a_second

check selects select_clocksource kvmpv
check now_rises_selected rises_by_a_second
check rmmod_is_refused_while_current fails_with 'busy|unavailable' rmmod kvmpv
check status_says_how_to_release contains "$(cat $DEBUG/status)" 'echo kvm-clock > .*/current_clocksource'
check release_refuses_bad_input
check release_reports_the_override
check cpus_equal_msrs_selected cpus_equal_msrs
for fault in torn_reads bad_shift_reads not_ready_reads tsc_behind_reads; do
	check "no_$fault" equal $fault "$(field clock/state $fault)" 0
done
check selects_native_again select_clocksource kvm-clock
end
