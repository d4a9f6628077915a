# SPDX-License-Identifier: GPL-2.0-only
"""What on_host.py does on an emulated host before its job: it tells the time, then moves to the machine's own root and time."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import subprocess
import sys
import time

TYPE_CHECKING = False  # typing itself would be the slowest import
if TYPE_CHECKING:
    from typing import Any

# KVM's ioctls: a machine, and the rate of the TSC that it will have.
KVM_CREATE_VM, KVM_GET_TSC_KHZ = 0xAE01, 0xAEA3
# rdtsc; shl rdx, 32; or rax, rdx; ret
READ_TSC = b"\x0f\x31\x48\xc1\xe2\x20\x48\x09\xd0\xc3"


def clocks() -> bytes:
    """Three numbers: CLOCK_MONOTONIC in ns, the TSC, and the TSC's rate in kHz by which KVM counts.

    The emulated MSR 0x10 is none that moves, so it takes the instruction.
    """
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(READ_TSC)
    place = ctypes.addressof(ctypes.c_char.from_buffer(code))
    read_tsc = ctypes.CFUNCTYPE(ctypes.c_uint64)(place)
    kvm = os.open("/dev/kvm", os.O_RDWR)
    machine = fcntl.ioctl(kvm, KVM_CREATE_VM, 0)
    khz = fcntl.ioctl(machine, KVM_GET_TSC_KHZ, 0)
    os.close(machine)
    os.close(kvm)
    return f"{time.monotonic_ns()} {read_tsc()} {khz}".encode()


def enter(job: dict[str, Any]) -> None:
    # The clock stood still since the host was saved.
    time.clock_settime_ns(time.CLOCK_REALTIME, job["now_ns"])
    subprocess.run(["/enter"], check=True)
    os.chroot("/root")
    os.chdir("/")
    sys.path[0] = job["scripts"]
