#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The host pushes pages of a task of the guest out to a slow disk, and the task reads them in user space. What the guest
counts of its waits is what the host's kernel traces: as many as the faults that it injects, and as long as from there to when
it says that the page has come. Of a guest whose kernel handles async page faults.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from slow_swap import SlowSwap
from talk import DEBUG, Failed, Talk, contains, equal, within

TRACING = Path("/sys/kernel/tracing/instances")
EVENTS = ("kvm_inj_exception", "kvm_async_pf_not_present", "kvm_async_pf_ready")
LINE = re.compile(r"-(\d+)\s+\[\d+\]\s+\S+\s+([\d.]+): (\w+): (.*)$", re.MULTILINE)
ACCOUNTING = f"{DEBUG}/async_pf/accounting"
GUEST_EVENT = "/sys/kernel/tracing/events/kvmpv/async_pf_wait/enable"

# A disk so slow that what the emulated host takes besides is no twentieth of it.
LATENCY_NS = 200_000_000
PAGES = 24
CPU = 1


@dataclass(frozen=True)
class Seen:
    """What the host has traced of the guest."""

    injected: list[int]  # into each vCPU
    waits_ns: dict[int, int]  # of those that were injected, by their tokens
    invisible: int  # not injected, because the guest ran its kernel: it was stopped meanwhile


class Trace:
    def __init__(self, threads: list[int]) -> None:
        self._threads = threads
        self._instance = TRACING / f"kvmpv-apf-{os.getpid()}"
        self._instance.mkdir()
        (self._instance / "trace_clock").write_text("mono", "ascii")
        for event in EVENTS:
            (self._instance / f"events/kvm/{event}/enable").write_text("1", "ascii")

    def begin(self) -> None:
        (self._instance / "trace").write_text("", "ascii")

    def seen(self) -> Seen:
        injected = [0] * len(self._threads)
        missing: dict[int, list[tuple[int, int]]] = {thread: [] for thread in self._threads}
        began: dict[int, int] = {}
        waits: dict[int, int] = {}
        for who, time, event, text in LINE.findall((self._instance / "trace").read_text("ascii")):
            thread, now_ns = int(who), round(float(time) * 1e9)
            if event == "kvm_inj_exception":
                # Only the host's own faults are injected: the guest's never leave it.
                if text.startswith("#PF") and "reinjected" not in text:
                    injected[self._threads.index(thread)] += 1
                    token, began_ns = missing[thread][-1]
                    began[token] = began_ns
                continue
            token = int(re.findall(r"token (0x[0-9a-f]+)", text)[0], 16)
            if event == "kvm_async_pf_not_present":
                missing[thread].append((token, now_ns))
            elif token in began:
                waits[token] = now_ns - began[token]
        return Seen(injected, waits, sum(map(len, missing.values())) - sum(injected))

    def close(self) -> None:
        for event in EVENTS:
            (self._instance / f"events/kvm/{event}/enable").write_text("0", "ascii")
        self._instance.rmdir()


class Toucher:
    """A task in the guest that has pages, and reads them when it is told to."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        talk.ask("rm -f /tmp/go /tmp/said; mkfifo /tmp/go /tmp/said")
        talk.ask(f"/tests/touch {CPU} {PAGES} < /tmp/go > /tmp/said 2>/dev/null & toucher=$!")
        self.frames = [
            int(f) for f in talk.ask("exec 7>/tmp/go 8</tmp/said; head -n 1 <&8").split()
        ]
        equal("pages", len(self.frames), PAGES)

    def go(self) -> None:
        self._talk.ask("echo >&7")

    def ends(self) -> None:
        """All of its pages are as it has left them."""
        right = self._talk.ask("head -n 1 <&8; wait $toucher; exec 7>&- 8<&-")
        equal("pages that are right", int(right), PAGES)


def waits_of(talk: Talk, cpu: int) -> int:
    return talk.table("async_pf/cpus").number(cpu, "waits")


class Checks:
    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.swap = SlowSwap(LATENCY_NS)
        self.trace = Trace(talk.beside.threads)
        self.seen = Seen([], {}, 0)
        self.cut = ""

    def off_at_first(self) -> None:
        contains(
            self.talk.ask(f"grep ^async_pf {DEBUG}/status"), "shared .*; waits are not counted$"
        )
        equal("waits", self.talk.table("async_pf/cpus").column("waits"), ["-", "-"])
        equal(
            "accounting", self.talk.table("async_pf/accounting").rows["accounting"]["value"], "no"
        )

    def a_task_waits(self) -> None:
        talk = self.talk
        talk.ask(f"echo 1 > {ACCOUNTING}; echo 1 > {GUEST_EVENT}")
        toucher = Toucher(talk)
        self.swap.push_out(talk.beside.pid, toucher.frames)
        self.trace.begin()
        toucher.go()
        toucher.ends()
        self.seen = self.trace.seen()
        print(f"injected {self.seen.injected}, invisible {self.seen.invisible}", flush=True)
        equal("faults that were injected", self.seen.injected, [0, PAGES])

    def as_many_as_the_host_has_injected(self) -> None:
        cpus = self.talk.table("async_pf/cpus")
        for cpu, injected in enumerate(self.seen.injected):
            equal(f"waits on CPU {cpu}", cpus.number(cpu, "waits"), injected)
            equal(f"waiting on CPU {cpu}", cpus.number(cpu, "waiting"), 0)
        equal("missed", self.talk.table("async_pf/state").rows["missed"]["value"], "0")
        histogram = self.talk.table("async_pf/histogram")
        equal("waits in the histogram", sum(map(int, histogram.column("waits"))), PAGES)

    def as_long_as_on_the_host(self) -> None:
        """From the injection until the host says that it has come; to 5 %, for a guest in which nobody else wants the CPU."""
        cpus = self.talk.table("async_pf/cpus")
        guest = cpus.number(CPU, "wait_ns")
        host = sum(self.seen.waits_ns.values())
        self.talk.report(
            f"{PAGES} waits: guest {guest} ns, host {host} ns, {100 * guest / host:.2f} %"
        )
        equal("tokens", len(self.seen.waits_ns), PAGES)
        within("sum", guest, host * 0.95, host * 1.05)
        within("longest", cpus.number(CPU, "longest_ns"), guest // PAGES, guest)

    def with_the_hosts_tokens(self) -> None:
        lines = self.talk.ask("grep async_pf_wait: /sys/kernel/tracing/trace").splitlines()
        tokens = [int(re.findall(r"token=(0x[0-9a-f]+)", line)[0], 16) for line in lines]
        equal("tokens", sorted(tokens), sorted(self.seen.waits_ns))
        for line in lines:
            contains(line, rf"cpu={CPU} .* comm=touch$")

    def charged_to_who_waited(self) -> None:
        """Which has exited."""
        total = self.talk.table("async_pf/state").rows["wait_ns"]["value"]
        for file, what in (("tasks", "task"), ("cgroups", "cgroup")):
            table = self.talk.table(f"async_pf/{file}", head=2)
            equal(f"head of {file}", table.head[1], f"accounting on wait_ns {total}")
            equal(f"rows of {file}", table.column("what"), [what, "other"])
            equal(f"{file}' sum", table.rows[what]["wait_ns"], total)
        equal("task", self.talk.table("async_pf/tasks", head=2).rows["task"]["comm"], "touch")

    def _is_cut_while_it_waits(self, line: str) -> None:
        """The line ends accounting. The task goes on undisturbed."""
        toucher = Toucher(self.talk)
        self.swap.push_out(self.talk.beside.pid, toucher.frames)
        with self.swap.held():
            toucher.go()
            self.talk.ask(f"until [ $(cell async_pf/cpus {CPU} waiting) = 1 ]; do :; done; {line}")
            self.cut = self.talk.run(f"cell async_pf/cpus {CPU} cut")[1]
        toucher.ends()

    def is_cut_by_switching_off(self) -> None:
        self._is_cut_while_it_waits(f"echo 0 > {ACCOUNTING}")
        equal("cut", self.cut, "1")
        contains(self.talk.ask(f"grep ^async_pf {DEBUG}/status"), "; waits are not counted$")

    def counts_from_0_again(self) -> None:
        self.talk.ask(f"echo 1 > {ACCOUNTING}")
        equal("waits", self.talk.table("async_pf/cpus").column("waits"), ["0", "0"])
        equal("cut", self.talk.table("async_pf/cpus").column("cut"), ["0", "0"])

    def is_cut_by_unloading(self) -> None:
        self._is_cut_while_it_waits("rmmod kvmpv")
        contains(self.talk.ask("dmesg | tail -n 3"), "kvmpv: async_pf: 1 waits were cut")


def main() -> None:
    talk = Talk()
    talk.load("async_pf")
    checks = Checks(talk)
    talk.check(checks.off_at_first)
    talk.check(checks.a_task_waits)
    if not checks.seen.waits_ns:
        raise Failed("the host has injected nothing")
    talk.check(checks.as_many_as_the_host_has_injected)
    talk.check(checks.as_long_as_on_the_host)
    talk.check(checks.with_the_hosts_tokens)
    talk.check(checks.charged_to_who_waited)
    talk.check(checks.is_cut_by_switching_off)
    talk.check(checks.counts_from_0_again)
    talk.check(checks.is_cut_by_unloading)
    checks.trace.close()
    talk.check("undone", name="everything_is_undone")
    talk.finish()


if __name__ == "__main__":
    main()
