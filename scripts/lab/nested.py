# SPDX-License-Identifier: GPL-2.0-only
"""What on_host.py does on an emulated host before its job: it tells the time, then moves to the machine's own root and time."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time

from lab.tsc import Tsc

TYPE_CHECKING = False  # typing itself would be the slowest import
if TYPE_CHECKING:
    from typing import Any

# KVM's ioctls: a machine, and the rate of the TSC that it will have.
KVM_CREATE_VM, KVM_GET_TSC_KHZ = 0xAE01, 0xAEA3


def clocks() -> bytes:
    """Three numbers: CLOCK_MONOTONIC in ns, the TSC, and the TSC's rate in kHz by which KVM counts.

    The emulated MSR 0x10 is none that moves, so it takes the instruction.
    """
    tsc = Tsc()
    kvm = os.open("/dev/kvm", os.O_RDWR)
    machine = fcntl.ioctl(kvm, KVM_CREATE_VM, 0)
    khz = fcntl.ioctl(machine, KVM_GET_TSC_KHZ, 0)
    os.close(machine)
    os.close(kvm)
    return f"{time.monotonic_ns()} {tsc.read()} {khz}".encode()


def enter(job: dict[str, Any]) -> None:
    # The clock stood still since the host was saved.
    time.clock_settime_ns(time.CLOCK_REALTIME, job["now_ns"])
    subprocess.run(["/enter"], check=True)
    os.chroot("/root")
    os.chdir("/")
    sys.path[0] = job["scripts"]
