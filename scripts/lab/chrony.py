# SPDX-License-Identifier: GPL-2.0-only
"""Debian's chronyd, for guests: downloaded and unpacked, not installed, which would start it on this machine."""

from __future__ import annotations

from pathlib import Path

from lab import cache
from lab.archive import Archive


def chronyd() -> Path:
    """The program. Its libraries are among those that QEMU needs."""
    return cache.entry("chrony", _unpack) / "usr/sbin/chronyd"


def _unpack(into: Path) -> None:
    archive = Archive()
    found, *_ = archive.unpack(lambda: [archive.find("chrony")], into, "chrony")
    (into / "version").write_text(f"{found.version}\n", encoding="utf-8")
