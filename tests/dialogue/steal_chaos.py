#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The host sets steal to 0 and to 2^63, and leaves the version odd. /proc/stat never goes back and never shows more than
the elapsed time, not even after rmmod. MODE: shared or owned (nopv).
"""

from __future__ import annotations

import time

from records import StealRecords
from talk import DEBUG, Failed, Talk, equal, within

UNDONE = "steal_undone"


class Chaos:
    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._records = StealRecords(talk.beside)

    # ---- What the checks are made of

    def _record(self, cpu: int) -> int:
        return self._talk.table("cpus").number(cpu, "steal_pa")

    def _steal(self, cpu: int, name: str) -> int:
        return self._talk.table("steal/cpus").number(cpu, name)

    def _appears(self, event: str, cpu: int, count: int) -> None:
        """Waits for that many events. The next look is at most a second away."""
        found = 0
        for _ in range(300):
            events = self._talk.table("events", head=2).rows.values()
            found = sum(row["event"] == event and row["cpu"] == str(cpu) for row in events)
            if found == count:
                return
            time.sleep(0.1)
        raise Failed(f"{found} times {event}\n{self._talk.ask(f'cat {DEBUG}/events')}")

    # ---- The checks

    def both_grow(self) -> None:
        for cpu in (0, 1):
            self._talk.ask(f"grows stat_steal {cpu}")
            self._talk.ask(f"grows steal_field {cpu} steal_ns")

    def back_to_zero(self) -> None:
        begin = time.monotonic_ns()
        raw_ns, carry_ns = self._steal(0, "raw_ns"), self._steal(0, "carry_ns")
        self._records.set(self._record(0), "steal", 0)
        self._appears("steal_backward", 0, 1)
        # The value of the record at the step, less what was added between the step and the next look.
        step_ns = self._talk.last_value("steal_backward")
        passed_ns = time.monotonic_ns() - begin + 500_000_000
        within("size of the step", step_ns, raw_ns - passed_ns, raw_ns + passed_ns)
        equal("what is carried", self._steal(0, "carry_ns") - carry_ns, step_ns)
        self.both_grow()

    def ahead_by_years(self) -> None:
        """2^63 ns are 292 years."""
        begin = time.monotonic_ns()
        before_ns, raw_ns = self._steal(1, "steal_ns"), self._steal(1, "raw_ns")
        self._records.set(self._record(1), "steal", 1 << 63)
        self._appears("steal_forward", 1, 1)
        after_ns = self._steal(1, "steal_ns")
        passed_ns = time.monotonic_ns() - begin + 500_000_000
        # The record grows before the step and after it, and no more than the time that has passed is believed.
        step_ns, whole_ns = self._talk.last_value("steal_forward"), (1 << 63) - raw_ns
        within("size of the step", step_ns, whole_ns - 2 * passed_ns, whole_ns + passed_ns)
        within("steal of CPU 1", after_ns, before_ns, before_ns + passed_ns)
        self.both_grow()

    def and_back_again(self) -> None:
        self._records.set(self._record(1), "steal", 1000)
        self._appears("steal_backward", 1, 1)
        self.both_grow()

    def left_odd(self) -> None:
        """KVM makes an odd version even and writes the record whenever it runs the vCPU again. A host with one CPU has to
        do that between its write and the guest's next look, so there the guest never sees an odd version. A clock that
        did would stand still (kunit/steal_test.cc).
        """
        records = [self._record(cpu) for cpu in (0, 1)]
        for _ in range(20):
            for record in records:
                self._records.tear(record)
        self._records.set(records[0], "version", 0xFFFFFFFF)
        self._records.set(records[1], "version", 1)
        self.both_grow()

    def migrates(self) -> None:
        """The new threads start with a run delay of their own, which KVM adds to the value in the record."""
        self._talk.beside.migrate()
        self.both_grow()

    def unloads_after_steps(self) -> None:
        """A step right before rmmod, back on one CPU and ahead on the other. Native reads these records afterwards."""
        records = [self._record(cpu) for cpu in (0, 1)]
        self._records.set(records[0], "steal", 0)
        self._records.set(records[1], "steal", 1 << 62)
        self._talk.ask("unload")
        self._talk.ask(UNDONE)
        if self._talk.mode == "shared":
            self._talk.ask("grows stat_steal 0")
            self._talk.ask("grows stat_steal 1")
        self._talk.ask("sleep 10")

    def loads_once_more(self) -> None:
        """The next load starts at the healed value."""
        self._talk.ask("load")
        self.both_grow()
        names = ["backward_steps", "forward_steps"]
        names += ["carry_ns"] if self._talk.mode == "shared" else []
        for cpu in (0, 1):
            for name in names:
                equal(f"{name} of CPU {cpu}", self._steal(cpu, name), 0)
        self._talk.ask("unload")
        self._talk.ask(UNDONE)


def main() -> None:
    talk = Talk()
    chaos = Chaos(talk)
    talk.ask(". /tests/steal/lib.sh")
    talk.ask("start_hogs")
    talk.load("steal")
    talk.check(chaos.both_grow)
    talk.ask("start_watch")
    talk.check(chaos.back_to_zero)
    talk.check(chaos.ahead_by_years)
    talk.check(chaos.and_back_again)
    talk.check(chaos.left_odd)
    talk.check(chaos.migrates)
    talk.check(chaos.unloads_after_steps)
    talk.check(chaos.loads_once_more)
    talk.check("watch_found_nothing 100", name="proc_stat_never_lied")
    talk.ask("stop_hogs || true")
    talk.finish()


if __name__ == "__main__":
    main()
