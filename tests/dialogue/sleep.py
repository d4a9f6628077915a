#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""While the guest sleeps its clock advances by as much as the host's, on the kernel's own choice of clock and on ours.
Then the host sets its clock of the day, and the guest has to see it (pairing.py).

MODE: shared or owned (nopv).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import pairing
from talk import Failed, Talk, equal, within

ASLEEP = 5  # seconds
ROUNDS = 12


@dataclass(frozen=True)
class Look:
    """In ms. The guest's clock is read between the two reads of the host's."""

    before: float
    guest: int
    after: float

    @staticmethod
    def take(talk: Talk) -> Look:
        before = time.monotonic() * 1000
        guest = talk.number("uptime_ms")
        return Look(before, guest, time.monotonic() * 1000)


def sleeps(talk: Talk, clock: str) -> None:
    """However long an answer takes, the time between two of the guest's reads is at least the time between the nearest
    reads of the host's clock, and at most the time between the farthest. Sleeps until these are so close that a clock
    would be found that is wrong by an eighth.
    """
    first = Look.take(talk)
    for rounds in range(1, ROUNDS + 1):
        talk.ask(f"sleep {ASLEEP}")
        last = Look.take(talk)
        least, most = last.before - first.after, last.after - first.before
        if (most - least) * 8 <= least:
            break
    else:
        raise Failed("the guest took too long to answer")
    passed = last.guest - first.guest
    print(
        f"{clock}: in {rounds} sleeps {passed} ms for the guest, {least:.0f} to {most:.0f} for the host"
    )
    within("ms of sleep", passed, rounds * ASLEEP * 1000 - 10, 900_000)
    # The host may slew one of its clocks by 500 ppm, and the guest's shows hundredths of a second.
    within("ms by the guest's clock", passed, least * 0.999 - 12, most * 1.001 + 12)


def main() -> None:
    talk = Talk()
    native = talk.ask("current_clocksource")
    talk.check(sleeps, talk, native, name="sleeps_native")
    talk.load("clock")
    talk.check("select_clocksource kvmpv", name="selects")
    talk.check(sleeps, talk, "kvmpv")
    talk.check(lambda: equal("current", talk.state("current"), "yes"), name="is_current")
    pairing.checks(talk)
    talk.check(f"select_clocksource {native}", name="selects_native_again")
    talk.unload()


if __name__ == "__main__":
    main()
