#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Hibernation to a swap disk and back while timekeeping uses kvmpv. The image is written, the machine resets itself, and
another kernel boots and is replaced by the image. MODE: shared or owned (nopv).
"""

from __future__ import annotations

from talk import DEBUG, Talk, equal, within


def sleeps_and_wakes(talk: Talk) -> None:
    """/proc/uptime also counts the time that the machine was off, by its RTC. That is at least a second, which a boot of
    the guest takes, and at most a quarter of an hour, which is this guest's limit.
    """
    talk.ask("all_msrs > /tmp/msrs.asleep")
    before_ms = talk.number("uptime_ms")
    talk.ask("echo disk > /sys/power/state")
    after_ms = talk.number("uptime_ms")
    talk.ask("all_msrs | diff /tmp/msrs.asleep -")
    equal("current", talk.ask("current_clocksource"), "kvmpv")
    within("ms away", after_ms - before_ms, 1000, 900_000)
    cpus = talk.table("cpus").rows.values()
    equal("clocks that are on", [row["clock_on"] for row in cpus], ["yes"] * len(cpus))
    equal("records without a version", sum(int(row["clock_version"]) == 0 for row in cpus), 0)
    equal("rows", str(len(cpus)), talk.ask("online_cpus"))
    talk.ask("rises_by_a_second")


def main() -> None:
    talk = Talk()
    talk.ask("remember")
    talk.check("mkswap /dev/vda && swapon /dev/vda", name="has_a_disk")
    talk.let_reboot()
    talk.check("load", name="loads")
    talk.check(lambda: equal("mode", talk.ask("mode clock"), talk.mode), name="mode")
    talk.check("select_clocksource kvmpv", name="selects")
    talk.ask("echo reboot > /sys/power/disk")
    talk.check(sleeps_and_wakes, talk)
    # Some machines have to be told several times. Says how often.
    talk.check(lambda: within("resets", talk.let_reboot(), 1, 100), name="was_reset")
    slept = "dmesg | grep -c 'PM: hibernation: hibernation exit'"
    talk.check(lambda: equal("hibernations in the log", talk.ask(slept), "1"), name="really_slept")
    talk.check(lambda: equal("path", talk.state("path"), "stable"), name="still_stable")
    talk.check(
        lambda: equal("revoked", talk.state("stable_revoked"), "no"), name="promise_was_kept"
    )
    print(talk.ask(f"cat {DEBUG}/events {DEBUG}/clock/state"))
    talk.unload()


if __name__ == "__main__":
    main()
