# SPDX-License-Identifier: GPL-2.0-only
"""Finds the threads of a QEMU that run the CPUs of its guest."""

from __future__ import annotations

import os


def vcpu_threads(qemu: int) -> list[int]:
    """QEMU's threads for the guest's CPUs, in their order. -name ...,debug-threads=on gives them these names."""
    threads = {}
    for thread in os.listdir(f"/proc/{qemu}/task"):
        with open(f"/proc/{qemu}/task/{thread}/comm", encoding="ascii") as file:
            name = file.read()
        if name.startswith("CPU ") and name.endswith("/KVM\n"):
            threads[int(name[4:-5])] = int(thread)
    return [threads[number] for number in sorted(threads)]
