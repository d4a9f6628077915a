# SPDX-License-Identifier: GPL-2.0-only
"""Interrupts of each kind at a known number, in guests with and without PV EOI: how many of them end with an exit?

The host counts (kvm_eoi and kvm_pv_eoi, by vector), and kvmpv in the guest does too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import LabError
from lab.packages import tool

INSIDE = Path(__file__).parent / "programs"  # what runs in the guests, there in /lab

# asm/irq_vectors.h. From the first on a vector is the local APIC's own, and edge-triggered.
LOCAL_TIMER_VECTOR = 0xEC
IRQ_WORK_VECTOR = 0xF6
LOCAL_KINDS = ("timer", "self_ipi", "other_ipi")
KINDS = (*LOCAL_KINDS, "virtio")

# A guest without paravirtual features has no x2APIC unless its interrupts are remapped.
REMAPPED = (
    *("--qemu=-machine", "--qemu=q35,kernel-irqchip=split"),
    *("--qemu=-device", "--qemu=intel-iommu,intremap=on"),
)
# For eoi_window.sh to write to, with interrupts of its own.
SINK = (
    *("--qemu=-chardev", "--qemu=file,id=sink,path=/dev/null"),
    *("--qemu=-device", "--qemu=virtio-serial-pci,id=more,max_ports=2"),
    *("--qemu=-device", "--qemu=virtserialport,bus=more.0,chardev=sink,nr=1"),
)

# What eoi_window.sh starts: to be compiled, static.
PROGRAMS = [INSIDE / f"{name}.c" for name in ("mark", "waited_writes")]
# What it says, each with a number.
BRACKETS = ("elided_least", "ends_least", "elided_most", "ends_most")
SAYS = {"cpus", "x2apic", *KINDS, "ends", "taken", *BRACKETS}


@dataclass(frozen=True)
class Amounts:
    """The first three for each CPU."""

    timers: int = 2000
    self_ipis: int = 4000
    other_ipis: int = 200
    writes: int = 200

    def __str__(self) -> str:
        """For the environment of eoi_window.sh."""
        return f"TIMERS={self.timers} IPIS={self.self_ipis} REMOTE={self.other_ipis} WRITES={self.writes}"


@dataclass(frozen=True)
class Variant:
    name: str
    options: tuple[str, ...]  # of scripts/guest, beside --no-load and SINK
    loads: bool  # kvmpv, before the first mark
    x2apic: bool


NOPV = ("--cmdline", "nopv")
VARIANTS = (
    Variant("not offered", ("--cpu=-kvm-pv-eoi",), loads=False, x2apic=True),
    Variant("native", (), loads=False, x2apic=True),
    Variant("shared", (), loads=True, x2apic=True),
    Variant("nopv", NOPV, loads=False, x2apic=False),
    Variant("owned", NOPV, loads=True, x2apic=False),
    Variant("nopv x2apic", (*NOPV, *REMAPPED), loads=False, x2apic=True),
    Variant("owned x2apic", (*NOPV, *REMAPPED), loads=True, x2apic=True),
)


def kind(vector: int) -> str:
    if vector == LOCAL_TIMER_VECTOR:
        return "timer"
    if vector == IRQ_WORK_VECTOR:
        return "self_ipi"
    return "other_ipi" if vector > LOCAL_TIMER_VECTOR else "virtio"


@dataclass(frozen=True)
class Counted:
    """One run: the host's counts by kind of interrupt, and what eoi_window.sh says in the guest."""

    ends: dict[str, int]
    ends_without_exit: dict[str, int]
    guest: dict[str, int]

    def exits(self, of: str) -> int:
        return self.ends[of] - self.ends_without_exit[of]

    def local(self) -> tuple[int, int]:
        """Of timers and IPIs: interrupts, and exits for their EOI."""
        return sum(self.ends[k] for k in LOCAL_KINDS), sum(self.exits(k) for k in LOCAL_KINDS)


def additions(programs: Sequence[Path]) -> list[str]:
    """What eoi_window.sh needs in a guest, for --add; the programs are PROGRAMS, compiled."""
    return [
        f"{INSIDE}:/lab",
        *(f"{program}:/lab/" for program in programs),
        f"{tool('rdmsr')}:/usr/sbin/rdmsr",
    ]


def counted(name: str, said: Sequence[Sequence[str]], exits: Mapping[str, Any]) -> Counted:
    """From the words of the lines that eoi_window.sh has printed, and what the host has counted."""
    for words in said:
        if len(words) != 2:
            raise LabError(f"{name}: '{' '.join(words)}' is no name and a number")
    guest = {words[0]: int(words[1]) for words in said}
    if missing := SAYS - guest.keys():
        raise LabError(f"{name}: the guest says nothing of {', '.join(sorted(missing))}")
    return Counted(by_kind(exits["kvm_eoi_vectors"]), by_kind(exits["kvm_pv_eoi_vectors"]), guest)


def by_kind(vectors: dict[str, int]) -> dict[str, int]:
    sums = dict.fromkeys(KINDS, 0)
    for vector, times in vectors.items():
        sums[kind(int(vector))] += times
    return sums


HEADER = ("guest", "APIC", "interrupt", "driven", "ended", "EOI exits", "per interrupt")


def rows(runs: dict[str, Counted]) -> list[Sequence[str]]:
    """For a table below HEADER."""
    found: list[Sequence[str]] = []
    for name, run in runs.items():
        apic = "x2apic" if run.guest["x2apic"] else "xapic"
        for of in KINDS:
            share = run.exits(of) / run.ends[of] if run.ends[of] else 0.0
            numbers = (run.guest[of], run.ends[of], run.exits(of))
            found.append((name, apic, of, *map(str, numbers), f"{share:.3f}"))
    return found
