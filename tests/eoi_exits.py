#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Does kvmpv count the ends of interrupts as the host does, and do their exits go away? lab/interrupt_ends.py has the guests."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from built import PROGRAMS, ROOT, compile_program
from ktap import Case

from lab import LabError, interrupt_ends
from lab.interrupt_ends import HEADER, KINDS, SINK, VARIANTS, Amounts, Counted, Variant, rows

LOADED = ("shared", "owned", "owned x2apic")


def within_percent(what: str, found: int, expected: int, percent: int) -> Case:
    passed = abs(found - expected) * 100 <= expected * percent and expected > 0
    return Case(what, passed, f"{found}, expected {expected} within {percent} %")


def bracketed(what: str, host: int, least: int, most: int, cpus: int) -> Case:
    """The guest counts right before and right after each mark, and the host's count has to lie between. But at either
    mark each other CPU may be between the end of an interrupt and the exit that tells the host, or between the
    instruction that clears the bit and the one that counts. So one is allowed per mark and other CPU.
    """
    slack = 2 * (cpus - 1)
    passed = least - slack <= host <= most + slack and least > 0
    return Case(what, passed, f"{host}, between the marks {least} to {most}, +-{slack}")


def agreement(name: str, run: Counted) -> list[Case]:
    guest = run.guest
    elided = sum(run.ends_without_exit.values())
    ends = sum(run.ends.values())
    return [
        bracketed(
            f"{name}: elided is kvm_pv_eoi",
            elided,
            guest["elided_least"],
            guest["elided_most"],
            guest["cpus"],
        ),
        within_percent(f"{name}: elided is kvm_pv_eoi, to 1 %", guest["elided_least"], elided, 1),
        bracketed(
            f"{name}: elided and written is kvm_eoi",
            ends,
            guest["ends_least"],
            guest["ends_most"],
            guest["cpus"],
        ),
        within_percent(f"{name}: every end is counted", guest["ends"], guest["taken"], 1),
    ]


def driven(name: str, run: Counted) -> Case:
    short = [of for of in KINDS if run.ends[of] < run.guest[of]]
    return Case(f"{name}: all have come", not short, f"ended {run.ends}, driven {run.guest}")


def nine_in_ten_are_gone(runs: dict[str, Counted], without: str, with_it: str) -> Case:
    before, exits_before = runs[without].local()
    after, exits_after = runs[with_it].local()
    # Compared per interrupt, because a slower guest has more timer interrupts for the same work.
    text = f"{exits_before} exits of {before} interrupts without kvmpv, {exits_after} of {after} with it"
    fell = exits_after * before * 10 <= exits_before * after
    return Case(f"{with_it}: nine in ten EOI exits are gone", fell and exits_before > 5000, text)


def cases(runs: dict[str, Counted]) -> list[Case]:
    results = [driven(name, run) for name, run in runs.items()]
    for variant in VARIANTS:
        found = bool(runs[variant.name].guest["x2apic"])
        results.append(
            Case(f"{variant.name}: the APIC's mode", found == variant.x2apic, f"x2apic: {found}")
        )
    for name in LOADED:
        results += agreement(name, runs[name])
    results.append(nine_in_ten_are_gone(runs, "nopv", "owned"))
    results.append(nine_in_ten_are_gone(runs, "nopv x2apic", "owned x2apic"))
    # Native and kvmpv clear the same word by the same instruction. The IPIs go to the sender itself, because
    # their number does not depend on the host's speed. One in twenty is allowed for noise.
    native, ours = (runs[name].exits("self_ipi") for name in ("native", "shared"))
    sent = runs["shared"].guest["self_ipi"]
    text = f"exits of {sent} IPIs: {native} by native, {ours} by kvmpv"
    results.append(Case("shared: no more exits than native", ours <= native + sent / 20, text))
    return results


def count(variant: Variant, kernel: str) -> Counted:
    programs = [PROGRAMS / source.stem for source in interrupt_ends.PROGRAMS]
    with tempfile.NamedTemporaryFile(suffix=".json") as exits:
        done = subprocess.run(
            ["scripts/guest", "-q", "--kernel", kernel, "--timeout", "600"]
            + [f"--add={file}" for file in interrupt_ends.additions(programs)]
            + ["--own-marks", "--exits-json", exits.name]
            + [*SINK, *variant.options, *(() if variant.loads else ("--no-load",))]
            + ["--", f"{Amounts()} sh /lab/eoi_window.sh"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if done.returncode != 0:
            raise LabError(f"{variant.name}: exit status {done.returncode}\n{done.stderr[-2000:]}")
        host = json.loads(Path(exits.name).read_text(encoding="ascii"))
    said = [line.split() for line in done.stdout.splitlines()]
    return interrupt_ends.counted(variant.name, said, host)


def judge(kernel: str) -> tuple[list[Case], str]:
    """The cases for tests/check, and a table of the counts."""
    try:
        runs = {variant.name: count(variant, kernel) for variant in VARIANTS}
    except LabError as error:
        return [Case("guests ran to their end", False, str(error))], str(error)
    text = "\n".join(" ".join(f"{cell:13}" for cell in row) for row in [HEADER, *rows(runs)])
    return cases(runs), text


if __name__ == "__main__":
    for source in interrupt_ends.PROGRAMS:
        status, output = compile_program(source)
        if status != 0:
            raise LabError(f"{source.name} does not compile\n{output}")
    for one in sys.argv[1:]:
        found, text = judge(one)
        print(f"{one}\n{text}")
        for case in found:
            print(f"{'ok' if case.passed else 'not ok'} {case.name}: {case.detail}")
