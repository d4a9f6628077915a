#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""How many interrupts end with an exit? As the host counts it, in guests without PV EOI, with the kernel's and with kvmpv's."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from built import ROOT
from ktap import Case

# From here on a vector is the local APIC's own: timer, IPIs (LOCAL_TIMER_VECTOR in asm/irq_vectors.h). Edge-triggered.
LOCAL_TIMER_VECTOR = 0xEC
KINDS = ("timer", "ipi", "device")


@dataclass(frozen=True)
class Variant:
    name: str
    options: tuple[str, ...]


VARIANTS = (
    Variant("not offered", ("--no-load", "--cpu=-kvm-pv-eoi")),
    Variant("native", ("--no-load",)),
    Variant("shared", ()),
    Variant("nopv", ("--no-load", "--cmdline", "nopv")),
    Variant("owned", ("--cmdline", "nopv")),
)


def kind(vector: int) -> str:
    if vector == LOCAL_TIMER_VECTOR:
        return "timer"
    return "ipi" if vector > LOCAL_TIMER_VECTOR else "device"


@dataclass(frozen=True)
class Counted:
    """One run: the host's counts by kind of interrupt, and the guest's own."""

    ends: dict[str, int]
    ends_without_exit: dict[str, int]
    guest: dict[str, int]

    def exits(self, of: str) -> int:
        return self.ends[of] - self.ends_without_exit[of]

    def local(self) -> tuple[int, int]:
        """Of timers and IPIs: interrupts, and exits for their EOI."""
        return sum(self.ends[k] for k in KINDS[:2]), sum(self.exits(k) for k in KINDS[:2])


class GuestError(Exception):
    """The guest did not come to its end."""


def count(variant: Variant, kernel: str) -> Counted:
    with tempfile.NamedTemporaryFile(suffix=".json") as exits:
        done = subprocess.run(
            ["scripts/guest", "-q", "--kernel", kernel, "--timeout", "600"]
            + ["--add", "tests/guest:/tests", "--exits-json", exits.name, *variant.options]
            + ["--", "sh /tests/eoi_window.sh"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if done.returncode != 0:
            raise GuestError(
                f"{variant.name}: exit status {done.returncode}\n{done.stderr[-2000:]}"
            )
        host = json.loads(Path(exits.name).read_text(encoding="ascii"))
    rows = [line.split() for line in done.stdout.splitlines()]
    return Counted(
        by_kind(host["kvm_eoi_vectors"]),
        by_kind(host["kvm_pv_eoi_vectors"]),
        guest={row[0]: int(row[1]) for row in rows if len(row) == 2},
    )


def by_kind(vectors: dict[str, int]) -> dict[str, int]:
    sums = dict.fromkeys(KINDS, 0)
    for vector, times in vectors.items():
        sums[kind(int(vector))] += times
    return sums


def table(runs: dict[str, Counted]) -> str:
    lines = [f"{'guest':12} {'interrupt':9} {'ended':>8} {'eoi_exits':>9} {'per_interrupt':>13}"]
    for name, run in runs.items():
        for of in KINDS:
            share = run.exits(of) / run.ends[of] if run.ends[of] else 0.0
            lines.append(f"{name:12} {of:9} {run.ends[of]:8} {run.exits(of):9} {share:13.3f}")
    return "\n".join(lines)


def within_percent(what: str, found: int, expected: int, percent: int) -> Case:
    passed = abs(found - expected) * 100 <= expected * percent and expected > 0
    return Case(what, passed, f"{found}, expected {expected} within {percent} %")


def cases(runs: dict[str, Counted]) -> list[Case]:
    results = []
    for name in ("shared", "owned"):
        run = runs[name]
        host = sum(run.ends_without_exit.values())
        results.append(
            within_percent(f"{name}: elided is kvm_pv_eoi", run.guest["elided"], host, 1)
        )
        counted = run.guest["elided"] + run.guest["written"]
        results.append(
            within_percent(f"{name}: every end is counted", counted, run.guest["taken"], 1)
        )
    before, exits_before = runs["nopv"].local()
    after, exits_after = runs["owned"].local()
    # Per interrupt: the slower guest has more timer interrupts for the same work.
    text = f"{exits_before} exits of {before} interrupts without kvmpv, {exits_after} of {after} with it"
    fell = exits_after * before * 10 <= exits_before * after
    results.append(
        Case("owned: nine in ten EOI exits are gone", fell and exits_before > 5000, text)
    )
    native, exits_native = runs["native"].local()
    ours, exits_ours = runs["shared"].local()
    # The same word, cleared by the same instruction: a twentieth of all interrupts is for the host's mood.
    text = f"{exits_native} exits of {native} interrupts by native, {exits_ours} of {ours} by kvmpv"
    no_worse = exits_ours / ours <= exits_native / native + 0.05
    results.append(Case("shared: no more exits than native", no_worse, text))
    return results


def judge(kernel: str) -> tuple[list[Case], str]:
    """For tests/check."""
    try:
        runs = {variant.name: count(variant, kernel) for variant in VARIANTS}
    except GuestError as error:
        return [Case("guests ran to their end", False, str(error))], str(error)
    return cases(runs), table(runs)


if __name__ == "__main__":
    for one in sys.argv[1:]:
        found, text = judge(one)
        print(f"{one}\n{text}")
        for case in found:
            print(f"{'ok' if case.passed else 'not ok'} {case.name}: {case.detail}")
