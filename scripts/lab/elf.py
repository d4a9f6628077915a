# SPDX-License-Identifier: GPL-2.0-only
"""What a program's file says: the loader and libraries that it needs in order to start, where its code is, what it exports."""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab import LabError

MAGIC = b"\x7fELF\x02\x01"  # 64 bits, little-endian
PT_LOAD, PT_INTERP = 1, 3
PF_X = 1
SHT_DYNSYM = 11


@dataclass(frozen=True)
class Segment:
    """A part of a file that is loaded."""

    offset: int  # in the file
    address: int  # in memory, from where the program is loaded to
    size: int


def interpreter(content: bytes) -> str | None:
    """The loader of a dynamically linked x86-64 program, or None for any other file."""
    for kind, _, part in _segments(content):
        if kind == PT_INTERP:
            return content[part.offset : part.offset + part.size].rstrip(b"\0").decode()
    return None


def code(content: bytes) -> list[Segment]:
    """What is loaded to be executed."""
    return [part for kind, flags, part in _segments(content) if kind == PT_LOAD and flags & PF_X]


def _segments(content: bytes) -> Iterator[tuple[int, int, Segment]]:
    """The kind and the flags of each segment, and the segment."""
    if not content.startswith(MAGIC):
        return
    table, size, count = struct.unpack_from("<32xQ14xHH", content)
    for number in range(count):
        kind, flags, offset, address, length = struct.unpack_from(
            "<IIQQ8xQ", content, table + number * size
        )
        yield kind, flags, Segment(offset, address, length)


def exported(content: bytes, name: str) -> int | None:
    """The address of an exported function or variable, or None if this file exports none of that name."""
    sections = list(_sections(content))
    for kind, offset, length, names in sections:
        if kind != SHT_DYNSYM:
            continue
        texts = sections[names][1]
        wanted = name.encode() + b"\0"
        for at, defined, address in struct.iter_unpack(
            "<I2xHQ8x", content[offset : offset + length]
        ):
            if defined and content.startswith(wanted, texts + at):
                return int(address)
    return None


def _sections(content: bytes) -> Iterator[tuple[int, int, int, int]]:
    """The kind, the place in the file and the length of each section, and the number of the one with its names."""
    if not content.startswith(MAGIC):
        return
    table, size, count = struct.unpack_from("<40xQ10xHH", content)
    for number in range(count):
        kind, offset, length, names = struct.unpack_from(
            "<4xI16xQQI", content, table + number * size
        )
        yield kind, offset, length, names


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
