# SPDX-License-Identifier: GPL-2.0-only
"""Which KVM host does a guest get? Hardware KVM if that really works, or else a nested one.

/dev/kvm alone proves nothing. A KVM without the CPU's virtualization extension can be opened and runs firmware, but a stock
kernel hangs in it. So one guest must have booted since the machine was booted.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lab import LabError, cache
from lab.options import Options

KVM = "/dev/kvm"
CLOCKSOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
BOOT = Path("/proc/sys/kernel/random/boot_id")

Probe = Callable[[], bool]


def hardware(options: Options, probe: Probe) -> bool:
    """True for hardware KVM, false for a nested host. `probe` boots a guest on hardware KVM and returns whether it came up."""
    if options.host == "nested" or options.host_qemu or options.host_kernel:
        return False
    doubt = _doubt(probe)
    if options.host == "auto":
        return doubt is None and (options.clock is None or options.clock == _clock())
    if doubt is not None:
        raise LabError(f"--host kvm: {doubt}")
    if options.clock is not None and options.clock != _clock():
        raise LabError(
            f"--host kvm: this machine's clock is {_clock()} for its guests, and that cannot be changed from here;"
            f" --host nested can give --clock {options.clock}"
        )
    return True


def _doubt(probe: Probe) -> str | None:
    """Why hardware KVM does not work here, or None if it does."""
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    if "vmx" not in flags and "svm" not in flags:
        return "this CPU offers no hardware virtualization (neither vmx nor svm in /proc/cpuinfo)"
    if not os.access(KVM, os.R_OK | os.W_OK):
        return f"{KVM} is missing, or not ours to use"
    return None if _boots(probe) else f"{KVM} opens, but a guest does not come up with it"


def _boots(probe: Probe) -> bool:
    """The answer of the probe, which runs once per boot of the machine."""
    boot = BOOT.read_text(encoding="ascii").strip()
    verdict = cache.folder() / "hardware-kvm"
    if verdict.is_file():
        seen, _, answer = verdict.read_text(encoding="ascii").partition(" ")
        if seen == boot:
            return answer == "works"
    works = probe()
    verdict.parent.mkdir(parents=True, exist_ok=True)
    verdict.write_text(f"{boot} {'works' if works else 'fails'}", encoding="ascii")
    return works


def _clock() -> str:
    """The kind of clock that guests of this machine get: stable if the machine itself keeps time by its TSC."""
    return "stable" if CLOCKSOURCE.read_text(encoding="ascii").strip() == "tsc" else "unstable"
