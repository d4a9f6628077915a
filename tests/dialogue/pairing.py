#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The host sets its clock of the day, and clock/pairing and clock/drift show that to the nanosecond, within the error
that they state.

Only for an emulated host: the clock that is set is that of the machine that this program runs on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from talk import Table, Talk, equal, within

# Together they leave the clock as it was.
STEPS = (7, -11, 4)  # seconds
NS = 1_000_000_000


@dataclass(frozen=True)
class Between:
    """A number of ns that is known within bounds."""

    least: int
    most: int

    def __sub__(self, other: Between) -> Between:
        return Between(self.least - other.most, self.most - other.least)

    def widened(self, by: int) -> Between:
        return Between(self.least - by, self.most + by)

    def has(self, what: str, value: int) -> None:
        within(what, value, self.least, self.most)


def set_by_hand() -> Between:
    """The host's clock of the day less the one that nobody can set."""
    before = time.monotonic_ns()
    realtime = time.time_ns()
    after = time.monotonic_ns()
    return Between(realtime - after, realtime - before)


@dataclass(frozen=True)
class Look:
    host: Between  # set_by_hand()
    pairing: Table
    drift: Table

    @staticmethod
    def take(talk: Talk) -> Look:
        """What the guest sees of the host's clock lies between the host's own looks at it."""
        before = time.time_ns()
        pairing = talk.table("clock/pairing")
        after = time.time_ns()
        equal("state", pairing.rows["state"]["value"], "answered")
        within("host_realtime_ns", pairing.number("host_realtime_ns", "value"), before, after)
        return Look(set_by_hand(), pairing, talk.table("clock/drift"))

    def value(self, name: str) -> int:
        return self.pairing.number(name, "value")

    def cell(self, name: str) -> int:
        return self.drift.number("host_realtime", name)


def slewed(ns: int) -> int:
    """By how much one of the two clocks may have gone faster: 500 ppm, NTP's largest slew."""
    return abs(ns) // 2000


def shows_a_step(talk: Talk, seconds: int) -> None:
    first = Look.take(talk)
    time.clock_settime_ns(time.CLOCK_REALTIME, time.time_ns() + seconds * NS)
    last = Look.take(talk)
    step = last.host - first.host
    step.widened(NS).has("step", seconds * NS)
    moved = last.value("offset_ns") - first.value("offset_ns")
    error = first.value("error_ns") + last.value("error_ns")
    passed = last.value("realtime_ns") - first.value("realtime_ns")
    step.widened(error + slewed(passed)).has("offset_ns moved by", moved)
    moved_drift = last.cell("offset_ns") - first.cell("offset_ns")
    error_drift = first.cell("error_ns") + last.cell("error_ns")
    passed = last.cell("elapsed_ns") - first.cell("elapsed_ns")
    step.widened(error_drift + slewed(passed)).has("drift's offset_ns moved by", moved_drift)
    talk.report(
        f"the host's clock was set by {step.least} to {step.most} ns: the offset moved by {moved} (error {error}),"
        f" drift's by {moved_drift} (error {error_drift})"
    )


def nothing_was_refused(talk: Talk) -> None:
    equal("refused", talk.table("clock/pairing").rows["refused"]["value"], "0")


def checks(talk: Talk) -> None:
    """With the module loaded."""
    for seconds in STEPS:
        name = f"shows_{seconds} seconds".replace("-", "minus_").replace(" ", "_")
        talk.check(shows_a_step, talk, seconds, name=name)
    talk.check(nothing_was_refused, talk)


def main() -> None:
    talk = Talk()
    talk.load("clock")
    checks(talk)
    if talk.ask("current_clocksource") == "kvmpv":
        talk.ask("echo 1 > $DEBUG/clock/release")
    talk.unload()


if __name__ == "__main__":
    main()
