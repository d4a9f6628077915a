#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compares the guest's steal time with what the host knows: the time for which each vCPU's thread could have run and did
not. MODE: shared or owned (nopv).
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from records import StealRecords
from talk import DEBUG, Failed, Table, Talk, equal, within

STEAL = f"{DEBUG}/steal"
WATCHED = 20  # seconds
TICK_NS = 10_000_000
# Of /proc/stat, which counts in ticks, and steal since the last scheduler tick comes later. That may be one turn of the
# other tasks, 60 ms.
LATE_NS = 70_000_000


@dataclass(frozen=True)
class Shown:
    """What the guest shows of each CPU, and what it has charged to tasks, idle and others since the reset."""

    stolen: list[int]
    carried: list[int]
    stat: list[int]
    charged: int

    @staticmethod
    def take(talk: Talk, first: bool) -> Shown:
        """The charges are read last before the host's look and first after it, for they tell the least by themselves."""
        looks = [f"cat {STEAL}/cpus", "grep '^cpu[0-9]' /proc/stat", f"cat {STEAL}/tasks"]
        step = 1 if first else -1
        said = talk.ask(" && echo then && ".join(looks[::step])).split("then\n")
        cpus, stat, tasks = said[::step]
        table = Table.parse(cpus)
        ticks = [int(line.split()[8]) for line in stat.splitlines()]
        charges = Table.parse(tasks, head=2)
        whole = int(charges.head[1].split()[3])
        kinds = {row[next(iter(row))] for row in charges.lines}
        charged = sum(map(int, charges.column("steal_ns")))
        equal("the sum of the charges", charged, whole)
        equal("a task was charged", "task" in kinds, True)
        return Shown(
            list(map(int, table.column("steal_ns"))),
            list(map(int, table.column("carry_ns"))),
            [tick * TICK_NS for tick in ticks],
            charged,
        )


@dataclass(frozen=True)
class Mark:
    """The host reads its own figures and the records at one moment. At that moment our clocks show the record plus the
    carry, which lies between what they show before and after.
    """

    before: Shown
    delays: list[int]
    shown: list[int]
    after: Shown


class Truth:
    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._records = StealRecords(talk.beside)
        self._addresses = [int(cell, 16) for cell in talk.table("cpus").column("steal_pa")]

    def _truth(self, vcpu: int) -> tuple[int, int]:
        """For how many ns its thread could have run and did not, and what its record says at the same moment."""
        for _ in range(1000):
            delay = self._talk.beside.run_delay(vcpu)
            steal = self._records.get(self._addresses[vcpu], "steal")
            if delay == self._talk.beside.run_delay(vcpu):
                return delay, steal
        raise Failed(f"vCPU {vcpu} was never left alone for long enough")

    def _mark(self) -> Mark:
        before = Shown.take(self._talk, first=True)
        truth = [self._truth(vcpu) for vcpu in range(len(self._addresses))]
        after = Shown.take(self._talk, first=False)
        shown = [steal + carry for (_, steal), carry in zip(truth, after.carried, strict=True)]
        return Mark(before, [delay for delay, _ in truth], shown, after)

    def _watch(self) -> tuple[Mark, Mark]:
        self._talk.ask("sleep 2")
        begin = self._mark()
        self._talk.ask(f"sleep {WATCHED}")
        return begin, self._mark()

    def _compare(self, what: str, begin: Mark, end: Mark) -> list[int]:
        """Between two marks our steal time and the host's agree within 2 %, or within 1 ms if that is more. /proc/stat
        agrees, too, and so does what was charged with the host's sum. Returns what the host says of each CPU.
        """
        for mark in (begin, end):
            for cpu, now in enumerate(mark.shown):
                least, most = mark.before.stolen[cpu], mark.after.stolen[cpu]
                within(f"{what}: shown of CPU {cpu}", now, least, most)
        host = [then - now for now, then in zip(begin.delays, end.delays, strict=True)]
        for cpu, ns in enumerate(host):
            guest = end.shown[cpu] - begin.shown[cpu]
            low = end.before.stat[cpu] - begin.after.stat[cpu]
            high = end.after.stat[cpu] - begin.before.stat[cpu]
            line = f"{what}: CPU {cpu}: host {ns / 1e6:.3f} ms, guest {guest / 1e6:.3f} ms"
            self._say(f"{line}, /proc/stat {low // 10**6} to {high // 10**6} ms")
            tolerance = max(ns * 0.02, 1e6)
            within(f"{what}: ns of CPU {cpu}", guest, ns - tolerance, ns + tolerance)
            within(f"{what}: /proc/stat of CPU {cpu}", guest, low - LATE_NS, high + LATE_NS)
        # The moment of the host lies between two looks at the charges.
        low = end.before.charged - begin.after.charged
        high = end.after.charged - begin.before.charged
        total = sum(host)
        charged = f"charged {low / 1e6:.3f} to {high / 1e6:.3f} ms"
        self._say(f"{what}: host, all CPUs: {total / 1e6:.3f} ms, {charged}")
        tolerance = max(total * 0.02, 1e6)
        within(f"{what}: charged at least", low, 0, total + tolerance)
        within(f"{what}: charged at most", high, total - tolerance, 10**12)
        return host

    def _say(self, line: str) -> None:
        """Shown even if everything passes."""
        print(line, flush=True)

    # ---- The checks

    def busy(self) -> None:
        cpu = self._talk.beside.share_cpu()
        hog = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        os.sched_setaffinity(hog.pid, {cpu})
        try:
            self._talk.ask("start_hogs")
            begin, end = self._watch()
            self._talk.ask("stop_hogs || true")
        finally:
            hog.kill()
            hog.wait()
        # Three threads want one CPU, so each vCPU waits for two thirds of the time.
        within("ns of CPU 0", self._compare("busy", begin, end)[0], 1e10, WATCHED * 4e9)

    def idle(self) -> None:
        """Wake-ups from idle do wait for the CPU."""
        self._compare("idle", *self._watch())

    def nothing_was_dropped(self) -> None:
        for cpu, row in self._talk.table("steal/cpus").rows.items():
            for count in ("backward_steps", "forward_steps", "torn_looks"):
                equal(f"{count} of CPU {cpu}", row[count], "0")


def main() -> None:
    talk = Talk()
    talk.ask(". /tests/steal/lib.sh")
    talk.load("steal")
    truth = Truth(talk)
    talk.check(f"echo 1 > {STEAL}/attribution", name="attributes")
    talk.check(truth.busy)
    talk.check(truth.idle)
    talk.check(truth.nothing_was_dropped)
    talk.unload("steal_undone")


if __name__ == "__main__":
    main()
