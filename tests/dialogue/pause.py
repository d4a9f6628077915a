#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The host stops the guest for a minute. The kernel's watchdogs stay silent, because the module publishes its clock
records where the kernel's paused-guest check looks. The last check hides the records, and the watchdogs complain.

For an owned clock (nopv) in a guest with tsc=reliable: the TSC runs meanwhile, and the soft-lockup watchdog measures
by it. tsc_early_khz is approximate; on an emulated host the kernel cannot calibrate the TSC.
"""

from __future__ import annotations

from talk import DEBUG, Talk, equal, within

# Longer than the watchdog's threshold of 20 s.
LONG = 60
SHORTER = 30
COMPLAINTS = "BUG: soft lockup|INFO: rcu.*stall|blocked for more than"


def is_stopped(talk: Talk, seconds: int) -> None:
    pauses = talk.count("events_pause")
    talk.stop(seconds)
    # The kernel's watchdog looks at each CPU every 4 s, our sampler every second.
    talk.ask("each_cpu_returns watchdog_timer_fn 2")
    talk.ask(f"counts_beyond events_pause {pauses}")
    talk.ask("each_cpu_looks")
    equal("pauses", talk.count("events_pause"), pauses + 1)
    equal("current", talk.ask("current_clocksource"), "kvmpv")


def complaints(talk: Talk, least: int, most: int) -> None:
    # grep fails where it finds none.
    found = talk.number(f"dmesg | grep -cE '{COMPLAINTS}' || true")
    within("complaints", found, least, most)


def main() -> None:
    talk = Talk()
    talk.load("clock")
    talk.check(
        lambda: equal("current", talk.ask("current_clocksource"), "kvmpv"),
        name="moves_to_us_by_itself",
    )
    # The watchdog does not complain about an idle CPU.
    talk.ask("taskset 2 /tests/clock_watch > /dev/null & watcher=$!")
    # So that there is an earlier look with which the pause can be compared.
    talk.check("each_cpu_looks")
    talk.check(is_stopped, talk, LONG, name="is_stopped_for_a_minute")
    talk.check(complaints, talk, 0, 0, name="no_watchdog_complains")
    talk.ask("insmod /kvmpv/kvmpv_unpublish.ko")
    talk.check(is_stopped, talk, SHORTER, name="is_stopped_unpublished")
    talk.check(complaints, talk, 1, 2, name="a_watchdog_complains")
    talk.ask("kill $watcher")
    talk.ask(f"echo 1 > {DEBUG}/clock/release")
    talk.unload()


if __name__ == "__main__":
    main()
