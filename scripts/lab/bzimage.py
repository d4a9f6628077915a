# SPDX-License-Identifier: GPL-2.0-only
"""Takes the kernel proper out of a bzImage, so that an emulated CPU need not: it takes seconds to inflate what we do in one."""

from __future__ import annotations

import lzma
import struct
from pathlib import Path

from lab import LabError

SECTOR = 512
ELF = b"\x7fELF"


def vmlinux(image: Path) -> bytes:
    """The ELF file inside. The places are those of the kernel's document arch/x86/boot.rst; only xz, as Debian has it."""
    content = image.read_bytes()
    setup_sectors = content[0x1F1] or 4
    offset, length = struct.unpack_from("<II", content, 0x248)
    start = (setup_sectors + 1) * SECTOR + offset
    # Behind the compressed data stands its size, which is not part of it.
    kernel = lzma.LZMADecompressor().decompress(content[start : start + length])
    if not kernel.startswith(ELF):
        raise LabError(f"{image} holds no kernel in the form that was expected")
    return kernel
