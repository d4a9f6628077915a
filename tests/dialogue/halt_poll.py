#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the host does when the guest forbids it to poll: how often it has polled for each vCPU, by KVM's own counters.

KVM polls for a vCPU only while that one's halt_poll_ns is above 0. It grows while halts are shorter than the limit of
all, kvm.halt_poll_ns. So this raises the limit above what a halt takes on an emulated host, and makes many short halts:
two CPUs of the guest wake each other in turns.
"""

from __future__ import annotations

from pathlib import Path

from talk import DEBUG, Failed, Talk, equal, within

LIMIT = Path("/sys/module/kvm/parameters/halt_poll_ns")
RAISED_NS = 100_000_000
ROUNDS = 300
CPUS = 2
CONTROL = f"{DEBUG}/halt_poll/control"


class Polls:
    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        cpus = talk.beside.qmp.command("query-cpus-fast")
        self._index = {cpu["qom-path"]: cpu["cpu-index"] for cpu in cpus}

    def attempted(self) -> list[int]:
        """How often KVM has polled for each vCPU."""
        names = ["halt_attempted_poll"]
        answer = self._talk.beside.qmp.command(
            "query-stats", target="vcpu", providers=[{"provider": "kvm", "names": names}]
        )
        found = {self._index[row["qom-path"]]: row["stats"][0]["value"] for row in answer}
        return [int(found[cpu]) for cpu in range(CPUS)]

    def played(self) -> list[int]:
        """By how much that grew in a game of ping-pong. A poll that is under way before it began may count."""
        before = self.attempted()
        self._talk.ask(f"/tests/ping_pong {ROUNDS}")
        return [now - then for now, then in zip(self.attempted(), before, strict=True)]

    # ---- The checks

    def go_on(self) -> None:
        """Each CPU halts in each round; but a halt that ends before it begins is none, and a window has to grow first."""
        polls = self.played()
        print(f"allowed: {polls} polls", flush=True)
        for cpu in range(CPUS):
            within(f"polls for CPU {cpu}", polls[cpu], ROUNDS // 10, 1_000_000)

    def stop(self) -> None:
        self._stand_still([True] * CPUS)

    def stop_for_cpu_1(self) -> None:
        self._stand_still([False, True])

    def _stand_still(self, forbidden: list[bool]) -> None:
        # Whoever polls when it is forbidden goes on until its CPU is woken.
        self.played()
        polls = self.played()
        print(f"forbidden {forbidden}: {polls} polls", flush=True)
        for cpu in range(CPUS):
            if forbidden[cpu]:
                equal(f"polls for CPU {cpu}", polls[cpu], 0)
            elif not polls[cpu]:
                raise Failed(f"no polls for CPU {cpu}")


def show_wakeups(talk: Talk, what: str) -> None:
    for row in talk.table("halt_poll/cpus").lines:
        times = " ".join(f"{name} {row[name]}" for name in row if name not in ("msr", "before"))
        print(f"{what}: {times}", flush=True)


def check(talk: Talk) -> None:
    polls = Polls(talk)
    talk.ask("remember")
    talk.check("load halt_poll_accounting=1", name="loads")
    talk.check(polls.go_on, name="polls_at_first")
    talk.ask(f"echo 0 > {CONTROL}")
    talk.check(polls.stop)
    show_wakeups(talk, "forbidden")
    talk.ask(f"echo 1 > {CONTROL}")
    talk.check(polls.go_on, name="polls_again")
    show_wakeups(talk, "allowed")
    talk.ask(f"echo 1 0 > {CONTROL}")
    talk.check(polls.stop_for_cpu_1)
    talk.ask(f"echo 0 > {CONTROL}")
    talk.check(polls.stop, name="stop_once_more")
    talk.check("unload", name="unloads")
    talk.check("undone", name="everything_is_undone")
    talk.check(polls.go_on, name="polls_after_unloading")
    talk.finish()


def main() -> None:
    talk = Talk()
    limit = LIMIT.read_text("ascii")
    LIMIT.write_text(f"{RAISED_NS}\n", "ascii")
    try:
        check(talk)
    finally:
        LIMIT.write_text(limit, "ascii")


if __name__ == "__main__":
    main()
