# SPDX-License-Identifier: GPL-2.0-only
"""Unpacks the kernel of a bzImage. That takes a second here, and several on an emulated CPU."""

from __future__ import annotations

import lzma
import struct
from pathlib import Path

from lab import LabError

SECTOR = 512
ELF = b"\x7fELF"


def vmlinux(image: Path) -> bytes:
    """The ELF file inside. The offsets are those of the kernel's arch/x86/boot.rst. Only for xz, which Debian uses."""
    content = image.read_bytes()
    setup_sectors = content[0x1F1] or 4
    offset, length = struct.unpack_from("<II", content, 0x248)
    start = (setup_sectors + 1) * SECTOR + offset
    # The size follows the compressed data, and is not part of it.
    kernel = lzma.LZMADecompressor().decompress(content[start : start + length])
    if not kernel.startswith(ELF):
        raise LabError(f"{image} holds no kernel in the form that was expected")
    return kernel
