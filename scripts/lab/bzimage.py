# SPDX-License-Identifier: GPL-2.0-only
"""Unpacks the kernel of a bzImage. That takes a second here, and several on an emulated CPU."""

from __future__ import annotations

import lzma
import struct
import subprocess
from pathlib import Path

from lab import LabError
from lab.packages import tool

SECTOR = 512
ELF = b"\x7fELF"
ZSTD = b"\x28\xb5\x2f\xfd"
SIZE = 4  # bytes of a number behind the compressed data: how much comes out


def vmlinux(image: Path) -> bytes:
    """The ELF file inside. The offsets are those of the kernel's arch/x86/boot.rst. Debian uses xz, and zstd since 6.12."""
    content = image.read_bytes()
    setup_sectors = content[0x1F1] or 4
    offset, length = struct.unpack_from("<II", content, 0x248)
    start = (setup_sectors + 1) * SECTOR + offset
    packed = content[start : start + length - SIZE]
    if packed.startswith(ZSTD):
        command = [str(tool("zstd")), "--decompress", "--stdout"]
        kernel = subprocess.run(command, input=packed, capture_output=True, check=False).stdout
    else:
        kernel = lzma.LZMADecompressor().decompress(packed)
    if not kernel.startswith(ELF):
        raise LabError(f"{image} holds no kernel in the form that was expected")
    return kernel
