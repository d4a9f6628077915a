#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Wakes the guest each time it has suspended to RAM. scripts/guest ends this script with the guest."""

from __future__ import annotations

from qmp import Qmp


def main() -> None:
    qemu = Qmp()
    while True:
        qemu.wait_for("SUSPEND")
        print("the guest sleeps; waking it up", flush=True)
        qemu.command("system_wakeup")


if __name__ == "__main__":
    main()
