# SPDX-License-Identifier: GPL-2.0-only
#
# A guest that has no other clock for high-resolution timers (nopv hpet=disable pmtmr=0 tsc=unstable
# tsc_early_khz=RATE): once the kernel has taken kvmpv it cannot leave it, and what is said of that is
# true. Last in its guest: the module stays.
. /tests/lib.sh

OTHERS='refined-jiffies jiffies'

available_are() {
	equal available "$(sed 's/ *$//' $CLOCKSOURCE/available_clocksource)" "$1"
}

guest_has_no_other() {
	available_are "$OTHERS" && equal current "$(current_clocksource)" refined-jiffies
}

# With the lowest rating the kernel does not take it, and so can do without it.
can_be_loaded_beside() {
	load clock_release=1 && equal current "$(current_clocksource)" refined-jiffies &&
		equal registered "$(field clock/state registered)" yes && rmmod kvmpv && undone
}

# High-resolution timers begin with the first clock that is fit for them, and the kernel lists no other then.
kernel_takes_it() {
	load && equal mode "$(mode clock)" owned || return 1
	tries=0
	until grep -q 'hres_active *: 1' /proc/timer_list; do
		tries=$((tries + 1))
		[ $tries -le 100 ] || { echo "no high-resolution timers"; return 1; }
		sleep 0.1
	done
	available_are kvmpv && equal current "$(current_clocksource)" kvmpv && rises_by_a_second
}

# stays WHY NAMED: by release, which says why in the log and in its file; neither says anything else.
stays() {
	lines=$(dmesg | grep -c 'kvmpv: release: ')
	fails_with 'busy' sh -c "echo 1 > $DEBUG/clock/release" && equal current "$(current_clocksource)" kvmpv || return 1
	equal "new lines" $(($(dmesg | grep -c 'kvmpv: release: ') - lines)) 1 || return 1
	said=$(dmesg | sed -n 's/.*kvmpv: release: //p' | tail -n 1)
	equal log "$said" "the kernel stays with kvmpv: $1" &&
		equal override "$(sed -n 's/^override //p' $DEBUG/clock/release)" "$2: $1"
}

NO_OTHER='it has no other clock for high-resolution timers (available_clocksource names none)'
NAMED_TOO="$NO_OTHER, and current_clocksource was set to kvmpv"

# Nobody has named kvmpv.
release_says_there_is_no_other() {
	stays "$NO_OTHER" no && echo 0 > $DEBUG/clock/release
}

# Another name would not help, so none is asked for.
release_says_that_it_was_named_too() {
	select_clocksource kvmpv && stays "$NAMED_TOO" yes && echo 0 > $DEBUG/clock/release
}

# The kernel takes any name, and stays.
another_name_does_not_help() {
	echo jiffies > $CLOCKSOURCE/current_clocksource
	equal current "$(current_clocksource)" kvmpv && stays "$NO_OTHER" no
}

unbinding_is_refused() {
	fails_with 'busy' sh -c "echo kvmpv > $CLOCKSOURCE/unbind_clocksource" &&
		equal registered "$(field clock/state registered)" yes && equal unbound "$(field clock/state unbound)" no
}

# At once, by the kernel itself, as for every module in use: it does not come to our waiting.
rmmod_is_refused() {
	began=$(uptime_ms)
	fails_with 'busy|unavailable|in use' rmmod kvmpv && within "ms of rmmod" $(($(uptime_ms) - began)) 0 5000 &&
		contains "$(cat /proc/modules)" '^kvmpv [0-9]+ [1-9].* Live ' && rises_by_a_second
}

status_says_so() {
	contains "$(cat $DEBUG/status)" '^kvmpv +[0-9]+ +yes ' &&
		contains "$(cat $DEBUG/status)" '^While kvmpv is the current clocksource, rmmod fails with EAGAIN' &&
		contains "$(cat $DEBUG/status)" '^If available_clocksource has no other name, the kernel cannot leave kvmpv'
}

remember
check guest_has_no_other
check can_be_loaded_beside
check kernel_takes_it
check status_says_so
check release_says_there_is_no_other
check release_says_that_it_was_named_too
check another_name_does_not_help
check unbinding_is_refused
check rmmod_is_refused
finish
