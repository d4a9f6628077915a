# SPDX-License-Identifier: GPL-2.0-only
"""What a program needs in order to start: its loader, which the program names, and its libraries."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

from lab import LabError

PT_INTERP = 3


def interpreter(content: bytes) -> str | None:
    """The loader of a dynamically linked x86-64 program, or None for any other file."""
    if content[:6] != b"\x7fELF\x02\x01":
        return None
    table, size, count = struct.unpack_from("<32xQ14xHH", content)
    for number in range(count):
        kind, offset, length = struct.unpack_from("<I4xQ16xQ", content, table + number * size)
        if kind == PT_INTERP:
            return content[offset : offset + length].rstrip(b"\0").decode()
    return None


def libraries(program: Path, loader: str) -> list[str]:
    """The program's libraries. The loader lists them without starting the program; only it knows its search order."""
    listing = subprocess.run(
        [loader, "--list", program], capture_output=True, text=True, check=False
    )
    missing = re.findall(r"^\s*(\S+) => not found", listing.stdout, re.MULTILINE)
    if missing:
        raise LabError(f"{program} needs {missing[0]}, which this machine does not have")
    if listing.returncode != 0:
        raise LabError(f"{loader} cannot list the libraries of {program}")
    return re.findall(r"=> (/\S+)", listing.stdout)
