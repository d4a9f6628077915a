# SPDX-License-Identifier: GPL-2.0-only
"""Interrupts of each kind at a known number, in guests with and without PV EOI: how many of them end with an exit?

The host counts (kvm_eoi and kvm_pv_eoi, by vector), and kvmpv in the guest does too.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

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

Run = Callable[[Sequence[str | Path]], "subprocess.CompletedProcess[str]"]


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
    options: tuple[str, ...]
    x2apic: bool


NOPV = ("--cmdline", "nopv")
VARIANTS = (
    Variant("not offered", ("--no-load", "--cpu=-kvm-pv-eoi"), x2apic=True),
    Variant("native", ("--no-load",), x2apic=True),
    Variant("shared", (), x2apic=True),
    Variant("nopv", ("--no-load", *NOPV), x2apic=False),
    Variant("owned", NOPV, x2apic=False),
    Variant("nopv x2apic", ("--no-load", *NOPV, *REMAPPED), x2apic=True),
    Variant("owned x2apic", (*NOPV, *REMAPPED), x2apic=True),
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


class GuestError(LabError):
    """The guest did not come to its end."""


def count(
    variant: Variant, kernel: str, run: Run, programs: Sequence[Path], amounts: Amounts
) -> Counted:
    with tempfile.NamedTemporaryFile(suffix=".json") as exits:
        done = run(
            ["scripts/guest", "-q", "--kernel", kernel, "--timeout", "600"]
            + [f"--add={INSIDE}:/lab", *(f"--add={file}:/lab/" for file in programs)]
            + ["--add", f"{tool('rdmsr')}:/usr/sbin/rdmsr"]
            + ["--own-marks", "--exits-json", exits.name, *SINK, *variant.options]
            + ["--", f"{amounts} sh /lab/eoi_window.sh"]
        )
        if done.returncode != 0:
            raise GuestError(
                f"{variant.name}: exit status {done.returncode}\n{done.stderr[-2000:]}"
            )
        host = json.loads(Path(exits.name).read_text(encoding="ascii"))
    said = {
        name: int(number) for name, number in (line.split() for line in done.stdout.splitlines())
    }
    if missing := {"cpus", "x2apic", *KINDS} - said.keys():
        raise GuestError(f"{variant.name}: the guest says nothing of {', '.join(sorted(missing))}")
    return Counted(
        by_kind(host["kvm_eoi_vectors"]), by_kind(host["kvm_pv_eoi_vectors"]), guest=said
    )


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
