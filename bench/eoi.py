# SPDX-License-Identifier: GPL-2.0-only
"""The group `eoi` of `make bench`: how many ends of interrupts are exits, and what one that is none executes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tables import BUILD, Group, compile_program, records

from lab import LabError, interrupt_ends
from lab.interrupt_ends import HEADER, KINDS, PROGRAMS, VARIANTS, Counted, Variant, rows


def programs() -> Sequence[Path]:
    return [compile_program("gcc-12", file.stem, ["-static", str(file)]) for file in PROGRAMS]


def counted(group: Group, found: Sequence[Path], variant: Variant) -> Counted:
    run = interrupt_ends.count(variant, group.kernel, group.guests.run, found, group.sizes.ends)
    for of in KINDS:
        if run.ends[of] < run.guest[of]:
            raise LabError(
                f"{variant.name}: of {run.guest[of]} {of} the host saw {run.ends[of]} end"
            )
    return run


def steps(group: Group) -> None:
    lines = group.in_guest("guest.sh", BUILD / "mark", [], "eoi_steps")
    found = records(lines, "eoi_steps", 2)
    if len(found) != 2:
        raise LabError(f"{len(found)} callbacks were stepped through, not 2")
    group.table(
        f"Instructions of an end without an exit, {group.kernel}",
        ("callback", "instructions"),
        found,
    )


def tables(group: Group) -> None:
    """The group `eoi` of `make bench`."""
    runs = group.each(partial(counted, group, programs()), VARIANTS)
    by_name = {variant.name: run for variant, run in zip(VARIANTS, runs, strict=True)}
    group.table(f"Interrupts whose end is an exit, {group.kernel}", HEADER, rows(by_name))
    steps(group)
