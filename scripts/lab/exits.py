# SPDX-License-Identifier: GPL-2.0-only
"""Why and how often did the guest exit while COMMAND ran? Reads the histograms of the KVM host."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lab import LabError

# Codes from the AMD64 manual (volume 2, appendix C) and the Intel SDM (volume 3, appendix C); others are shown as numbers.
SVM = {
    **{number: f"cr{number}_read" for number in range(16)},
    **{16 + number: f"cr{number}_write" for number in range(16)},
    **{32 + number: f"dr{number}_read" for number in range(16)},
    **{48 + number: f"dr{number}_write" for number in range(16)},
    **{64 + number: f"exception_{number}" for number in range(32)},
    **{96: "interrupt", 97: "nmi", 98: "smi", 99: "init", 100: "interrupt_window"},
    **{108: "idtr_write", 110: "tsc_read", 111: "pmc_read", 114: "cpuid", 115: "rsm", 116: "iret"},
    **{117: "software_interrupt", 118: "invd", 119: "pause", 120: "hlt", 121: "invlpg"},
    **{122: "invlpga", 123: "io", 124: "msr", 125: "task_switch", 127: "shutdown", 128: "vmrun"},
    **{129: "vmmcall", 135: "rdtscp", 137: "wbinvd", 138: "monitor", 139: "mwait", 141: "xsetbv"},
    **{0x400: "nested_page_fault", 0x401: "avic_incomplete_ipi", 0x402: "avic_unaccelerated"},
}
VMX = {
    **{0: "exception_or_nmi", 1: "interrupt", 2: "triple_fault", 3: "init", 7: "interrupt_window"},
    **{8: "nmi_window", 9: "task_switch", 10: "cpuid", 12: "hlt", 13: "invd", 14: "invlpg"},
    **{15: "pmc_read", 16: "tsc_read", 18: "vmcall", 28: "cr_access", 29: "dr_access", 30: "io"},
    **{31: "msr_read", 32: "msr_write", 36: "mwait", 39: "monitor", 40: "pause"},
    **{41: "mce_during_entry", 43: "tpr_below_threshold", 44: "apic_access", 45: "virtualized_eoi"},
    **{46: "gdtr_or_idtr", 47: "ldtr_or_tr", 48: "ept_violation", 49: "ept_misconfiguration"},
    **{51: "rdtscp", 52: "preemption_timer", 54: "wbinvd", 55: "xsetbv", 56: "apic_write"},
    **{62: "pml_full", 74: "bus_lock", 75: "notify"},
}
NAMES = {1: VMX, 2: SVM}  # by the tracepoint's field `isa`


@dataclass(frozen=True)
class Exits:
    """What was counted between the two marks."""

    reasons: Mapping[str, int]  # most frequent first
    eoi_vectors: Mapping[int, int]  # kvm_eoi: interrupts whose end the host has seen, in either way
    pv_eoi_vectors: Mapping[
        int, int
    ]  # kvm_pv_eoi: those whose end it found in guest memory, without an exit

    @property
    def total(self) -> int:
        return sum(self.reasons.values())

    @property
    def eoi(self) -> int:
        return sum(self.eoi_vectors.values())

    @property
    def pv_eoi(self) -> int:
        return sum(self.pv_eoi_vectors.values())

    @property
    def eoi_exits(self) -> int:
        return self.eoi - self.pv_eoi

    def as_dict(self) -> dict[str, object]:
        """The form of --exits-json."""
        return {
            "reasons": dict(self.reasons),
            "total": self.total,
            "kvm_eoi": self.eoi,
            "kvm_pv_eoi": self.pv_eoi,
            "eoi_exits": self.eoi_exits,
            "kvm_eoi_vectors": dict(self.eoi_vectors),
            "kvm_pv_eoi_vectors": dict(self.pv_eoi_vectors),
        }

    def table(self) -> str:
        rows = [*self.reasons.items(), ("total", self.total)]
        rows += [("kvm_eoi", self.eoi), ("kvm_pv_eoi", self.pv_eoi), ("eoi_exits", self.eoi_exits)]
        return "".join(f"{name:24} {count:10}\n" for name, count in rows)


def window(begun: Mapping[str, str], ended: Mapping[str, str], threads: Collection[int]) -> Exits:
    """What was counted between the marks: the counts from the first one on minus those from the second one on.

    The arguments are the texts of the histograms by event, and the vCPU threads, because the host may run other guests.
    """
    for histograms in (begun, ended):
        # There is always something after the mark: the guest still has to report its end.
        if not _rows(histograms["kvm_exit"], threads):
            raise LabError("COMMAND has not marked what is to be counted")
    reasons = _reasons(begun["kvm_exit"], threads)
    reasons.subtract(_reasons(ended["kvm_exit"], threads))
    reasons[
        "io"
    ] -= 1  # the exit of the second mark itself, which KVM counts before it looks at the port
    return Exits(
        reasons={name: count for name, count in reasons.most_common() if count},
        eoi_vectors=_between(begun["kvm_eoi"], ended["kvm_eoi"], threads),
        pv_eoi_vectors=_between(begun["kvm_pv_eoi"], ended["kvm_pv_eoi"], threads),
    )


def _rows(histogram: str, threads: Collection[int]) -> list[dict[str, int]]:
    """The lines of a histogram: { common_pid: 117, isa: 2, exit_reason: 124 } hitcount: 3310. Without an interrupt an EOI
    has vector -1.
    """
    lost = re.search(r"Dropped: ([1-9]\d*)", histogram)
    if lost:
        raise LabError(f"the KVM host lost {lost[1]} exits: its histogram is too small")
    rows = []
    for line in histogram.splitlines():
        if line.startswith("{"):
            row = {name: int(value) for name, value in re.findall(r"(\w+): +(-?\d+)", line)}
            if row["common_pid"] in threads:
                rows.append(row)
    return rows


def _reasons(histogram: str, threads: Collection[int]) -> Counter[str]:
    count: Counter[str] = Counter()
    for row in _rows(histogram, threads):
        name = NAMES.get(row["isa"], {}).get(row["exit_reason"], str(row["exit_reason"]))
        count[name] += row["hitcount"]
    return count


def _vectors(histogram: str, threads: Collection[int]) -> Counter[int]:
    count: Counter[int] = Counter()
    for row in _rows(histogram, threads):
        count[row["vector"]] += row["hitcount"]
    return count


def _between(begun: str, ended: str, threads: Collection[int]) -> dict[int, int]:
    count = _vectors(begun, threads)
    count.subtract(_vectors(ended, threads))
    return {vector: times for vector, times in sorted(count.items()) if times}
