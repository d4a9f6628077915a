#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Wakes the guest each time it has suspended to RAM. scripts/guest ends this script with the guest."""

from __future__ import annotations

import os

from lab.qmp import Qmp


def wake_for_ever(qemu: Qmp) -> None:
    while True:
        qemu.wait("SUSPEND")
        print("the guest sleeps; waking it up", flush=True)
        qemu.command("system_wakeup")


if __name__ == "__main__":
    wake_for_ever(Qmp(os.environ["KVMPV_QMP"]))
