# SPDX-License-Identifier: GPL-2.0-only
"""Which pages of the guest the host writes to."""

from __future__ import annotations

from talk import Talk

PAGE = 4096


def record_pages(talk: Talk) -> list[int]:
    """Those of the CPUs' clock and steal records."""
    cpus = talk.table("cpus")
    cells = [*cpus.column("clock_pa"), *cpus.column("steal_pa")]
    addresses = [int(cell, 16) for cell in cells if cell.startswith("0x")]
    return sorted({address // PAGE * PAGE for address in addresses if address >= PAGE})
