# SPDX-License-Identifier: GPL-2.0-only
#
# kvmpv is the kernel's clocksource watchdog, and no other clocksource can replace it. As long as that is so,
# rmmod is refused at once.
. /tests/lib.sh

# await COMMAND...: waits until it succeeds. The module looks once a second.
await() {
	tries=0
	until "$@" > /dev/null; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || { "$@"; return 1; }
		sleep 0.2
	done
}

status_says() {
	contains "$(cat $DEBUG/status)" "^watchdog: $1"
}

is_kept() {
	await status_says 'kvmpv, and the kernel accepts no other clock for that' &&
		fails_with 'busy|unavailable|in use' rmmod kvmpv &&
		contains "$(dmesg)" 'kvmpv: clock: .*rmmod fails with EAGAIN until it has one'
}

nobody_holds_it() {
	equal refcnt "$(cat /sys/module/kvmpv/refcnt)" 0
}

is_let_go() {
	await status_says 'kvmpv, with nothing to judge|kvmpv is the clock' || return 1
	await nobody_holds_it && contains "$(dmesg | tail -3)" 'can do without kvmpv again'
}

begin clock clock_rating=450
check is_the_watchdog status_says kvmpv
check selects_native select_clocksource kvm-clock
check no_other_can_judge insmod /kvmpv/kvmpv_lone_judge.ko
check is_kept
check others_can_judge_again rmmod kvmpv_lone_judge
check is_let_go
end
