# SPDX-License-Identifier: GPL-2.0-only
"""Builds an initramfs: a cpio archive in the "newc" format, uncompressed.

It is uncompressed because an emulated CPU copies a megabyte faster than it unpacks one. The kernel's document
driver-api/early-userspace/buffer-format.rst describes the format.
"""

from __future__ import annotations

import lzma
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from lab import LabError
from lab.elf import interpreter, libraries
from lab.packages import tool


class Archive:
    """Entries are written in the order in which they are added. A missing folder comes before its content."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._known = {"", "."}

    def folder(self, path: str) -> None:
        name = _relative(path)
        if name not in self._known:
            self._entry(name, stat.S_IFDIR | 0o755)

    def data(self, path: str, content: bytes, *, executable: bool = False) -> None:
        self._entry(_relative(path), stat.S_IFREG | (0o755 if executable else 0o644), content)

    def link(self, path: str, target: str) -> None:
        self._entry(_relative(path), stat.S_IFLNK | 0o777, os.fsencode(target))

    def character_device(self, path: str, major: int, minor: int) -> None:
        self._entry(_relative(path), stat.S_IFCHR | 0o600, device=(major, minor))

    def has(self, path: str) -> bool:
        return _relative(path) in self._known

    def busybox(self) -> None:
        """Busybox with all its commands, where a Debian system has them."""
        program = tool("busybox")
        self.file(program, "/bin/busybox")
        listing = subprocess.run(
            [program, "--list-full"], check=True, capture_output=True, text=True
        )
        for path in listing.stdout.split():
            if not self.has(path):
                self.link(path, "/bin/busybox")

    def file(self, source: Path, path: str) -> None:
        """Add a file of this machine. With a dynamically linked program come its loader and its libraries."""
        content = _read(source)
        if source.suffix == ".xz" and path.endswith(".ko"):
            content = lzma.decompress(content)  # a kernel module; busybox cannot unpack it
        self.data(path, content, executable=os.access(source, os.X_OK))
        loader = interpreter(content)
        if loader is None:
            return
        for needed in (loader, *libraries(source, loader)):
            if not self.has(needed):
                self.data(needed, _read(Path(needed)), executable=True)

    def tree(self, source: Path, path: str) -> None:
        """Add a file, or a folder with all its content."""
        if not source.is_dir():
            self.file(source, path)
            return
        self.folder(path)
        for child in sorted(source.iterdir()):
            below = f"{path.rstrip('/')}/{child.name}"
            if child.is_symlink():
                self.link(below, os.readlink(child))
            elif child.is_dir() or child.is_file():
                self.tree(child, below)
            else:
                raise LabError(f"{child} is neither file nor folder: it cannot go into the guest")

    def image(self) -> bytes:
        return b"".join(self._parts) + b"".join(_record(0, "TRAILER!!!", 0, b"", (0, 0)))

    def _entry(
        self, name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)
    ) -> None:
        parent = str(PurePosixPath(name).parent)
        if parent not in self._known:
            self._entry(parent, stat.S_IFDIR | 0o755)
        self._known.add(name)
        self._parts += _record(len(self._known), name, mode, content, device)


def _record(
    inode: int, name: str, mode: int, content: bytes, device: tuple[int, int]
) -> Iterator[bytes]:
    path = os.fsencode(name) + b"\0"
    # inode, mode, user, group, links, time, size, device of the archive, device that this is, length of the name, checksum
    fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(path), 0)
    yield b"070701" + b"".join(b"%08X" % field for field in fields)
    yield path + bytes(-(110 + len(path)) % 4)
    yield content
    yield bytes(-len(content) % 4)


def _relative(path: str) -> str:
    return str(PurePosixPath("/", path)).lstrip("/")


def _read(source: Path) -> bytes:
    try:
        return source.read_bytes()
    except OSError as error:
        raise LabError(f"cannot read {source}: {error.strerror}") from error
