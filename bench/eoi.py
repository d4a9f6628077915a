# SPDX-License-Identifier: GPL-2.0-only
"""The group `eoi` of `make bench`: how many ends of interrupts are exits, and what one that is none executes."""

from __future__ import annotations

from plan import Machine
from tables import Group, Tables, guest_program, records

from lab import LabError, interrupt_ends
from lab.interrupt_ends import HEADER, KINDS, PROGRAMS, SINK, VARIANTS, Counted, rows


def tables(group: Group) -> Tables:
    """The group `eoi` of `make bench`."""
    files = interrupt_ends.additions([guest_program(source) for source in PROGRAMS])
    said = {
        variant.name: group.in_guest(
            Machine(variant.options, devices=(SINK,)),
            "guest.sh ends",
            "yes" if variant.loads else "no",
            environment=str(group.sizes.ends),
            files=files,
            counts_exits=True,
        )
        for variant in VARIANTS
    }
    stepped = group.in_guest(Machine(), "guest.sh eoi_steps", group.sizes.stepped)

    def found() -> None:
        runs = {
            name: all_have_come(
                name, interrupt_ends.counted(name, one.result().lines, one.result().exits)
            )
            for name, one in said.items()
        }
        group.table(f"Interrupts whose end is an exit, {group.kernel}", HEADER, rows(runs))
        steps = records(stepped.result().lines, "eoi_steps", 2)
        if len(steps) != 2:
            raise LabError(f"{len(steps)} callbacks were stepped through, not 2")
        group.table(
            f"Instructions of an end without an exit, {group.kernel}",
            ("callback", "instructions"),
            steps,
        )

    return found


def all_have_come(name: str, run: Counted) -> Counted:
    for of in KINDS:
        if run.ends[of] < run.guest[of]:
            raise LabError(f"{name}: of {run.guest[of]} {of} the host saw {run.ends[of]} end")
    return run
