# SPDX-License-Identifier: GPL-2.0-only
#
# Hibernation to a swap disk and back while timekeeping uses kvmpv. The image is written, the machine resets
# itself, and another kernel boots and is replaced by the image. tests/host/life.py allows the reset. MODE:
# shared or owned (nopv).
. /tests/lib.sh

STATE=clock/state

# /proc/uptime also counts the time that the machine was off, by its RTC. That is at least a second, which a boot
# of the guest takes, and at most a quarter of an hour, which is this guest's limit.
sleeps_and_wakes() {
	all_msrs > /tmp/msrs.asleep
	before_ms=$(uptime_ms)
	echo disk > /sys/power/state || return 1
	after_ms=$(uptime_ms)
	all_msrs | diff /tmp/msrs.asleep - || return 1
	equal current "$(current_clocksource)" kvmpv || return 1
	within "ms away" $((after_ms - before_ms)) 1000 900000 || return 1
	equal "rows with a record" "$(awk 'NR > 2 && $13 == "yes" && $15 > 0' $DEBUG/cpus | wc -l)" \
		"$(online_cpus)" || return 1
	rises_by_a_second
}

# Some machines have to be told several times. Says how often.
was_reset() {
	ask_host let-reboot
	within resets $((answer - resets)) 1 100
}

remember
check has_a_disk sh -c 'mkswap /dev/vda && swapon /dev/vda'
ask_host let-reboot
resets=$answer
check loads load
check mode equal mode "$(mode clock)" "$MODE"
check selects select_clocksource kvmpv
echo reboot > /sys/power/disk
check sleeps_and_wakes
check was_reset
check really_slept equal "hibernations in the log" "$(dmesg | grep -c 'PM: hibernation: hibernation exit')" 1
check still_stable equal path "$(field $STATE path)" stable
check promise_was_kept equal revoked "$(field $STATE stable_revoked)" no
cat $DEBUG/events $DEBUG/$STATE >&2
end
