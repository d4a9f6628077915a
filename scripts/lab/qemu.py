# SPDX-License-Identifier: GPL-2.0-only
"""The QEMU that runs the guests and emulates their host: the installed one, or a newer one that is only unpacked.

One run uses the same QEMU for the emulated host, for the guest on it, and for a second QEMU that takes the guest over.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from lab import LabError, cache, process
from lab.archive import Archive, Package
from lab.packages import tool

INSTALLED, NEWER = "installed", "10"
NAMES = (INSTALLED, NEWER)
DEFAULT = INSTALLED

# Where the newer one comes from. It needs the same libraries as the installed one.
SUITES = (
    "bookworm",
    "bookworm-backports",
)  # the machine's own suite, and the other one of the same mirror
PROGRAM = "usr/bin/qemu-system-x86_64"
# Replaces the folders that are built into it, in the same order: what it loads into guests, firmware, and the boot ROMs of
# network cards, without which it refuses to start with such a card.
FIRMWARE = ("usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu")
MODULES = "usr/lib/x86_64-linux-gnu/qemu"


@dataclass(frozen=True)
class Qemu:
    name: str  # one of NAMES
    program: Path
    version: tuple[int, int]
    root: Path | None  # the folder into which it was unpacked; None if it is installed

    def command(self) -> list[str]:
        """The words that start it. By itself it would look for firmware and modules below /usr, where another version's are."""
        if self.root is None:
            return [str(self.program)]
        command = ["/usr/bin/env", f"QEMU_MODULE_DIR={self.root / MODULES}", str(self.program)]
        for folder in FIRMWARE:
            command += ["-L", str(self.root / folder)]
        return command


def chosen() -> str:
    """The name of the QEMU to use by default."""
    return os.environ.get("KVMPV_QEMU") or DEFAULT


def qemu(name: str) -> Qemu:
    """The QEMU. If this machine does not have it yet, it is downloaded and unpacked."""
    if name == INSTALLED:
        program, root = tool("qemu-system-x86_64").absolute(), None
    elif name == NEWER:
        root = cache.entry(f"qemu-{NEWER}", _unpack)
        program = root / PROGRAM
    else:
        raise LabError(f"there is no QEMU {name}: it is one of {', '.join(NAMES)}")
    return Qemu(name, program, _version(program), root)


def _version(program: Path) -> tuple[int, int]:
    said = process.output([str(program), "--version"]) or ""
    version = re.search(r"version (\d+)\.(\d+)", said)
    if version is None:
        raise LabError(f"{program} --version says nothing of a version: {said[:60]!r}")
    return int(version[1]), int(version[2])


def _unpack(into: Path) -> None:
    backports = Archive(*SUITES)

    def choose() -> list[Package]:
        program = backports.find(
            "qemu-system-x86",
            fits=lambda package: bool(re.match(rf"(\d+:)?{NEWER}\.", package.version)),
        )
        parts = ("qemu-system-common", "qemu-system-data", "seabios")
        return [program, *map(backports.find, parts)]

    program, *_ = backports.unpack(choose, into, f"QEMU {NEWER}")
    machine = Archive()
    machine.unpack(lambda: [machine.find("ipxe-qemu")], into, f"QEMU {NEWER}")
    release = ".".join(map(str, _version(into / PROGRAM)))
    (into / "release").write_text(f"{release}\n", encoding="utf-8")
    (into / "version").write_text(f"{program.version}\n", encoding="utf-8")
