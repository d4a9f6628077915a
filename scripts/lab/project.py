# SPDX-License-Identifier: GPL-2.0-only
"""Builds the project's modules for a guest's kernel, and finds them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lab import LabError, compilers
from lab.kernels import Kernel
from lab.packages import tool
from lab.process import environment

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "build/tool/kvmpv"  # for people; it is in every guest once it is built
SHOWN = 40  # lines shown of a failed build


class BuildError(LabError):
    """The module does not build for this kernel. `details` is the end of the compiler's output."""

    def __init__(self, text: str, details: str) -> None:
        super().__init__(text)
        self.details = details


def build_folder(kernel: Kernel) -> Path | None:
    """KDIR for this kernel. For a kernel that is given as a file it is $KDIR, if that is set."""
    return kernel.build or (Path(os.environ["KDIR"]) if "KDIR" in os.environ else None)


def make(kernel: Kernel, *arguments: str) -> list[str]:
    """The words that build the modules for this kernel, where its compiler and its kbuild tools run."""
    build = build_folder(kernel)
    if build is None:
        raise LabError(
            f"no build folder for {kernel.name}: name it in $KDIR, or do without the module (--no-load)"
        )
    words = ["--no-print-directory", "-C", str(ROOT), "modules", f"KDIR={build}", *arguments]
    if kernel.compilers is None:
        return [str(tool("make")), *words]
    # The headers lead to other folders of the kernel's.
    return compilers.inside(kernel.compilers, ["make", *words], ROOT, build.parents[2])


def modules(kernel: Kernel) -> list[Path]:
    """The .ko files, built if they are not up to date."""
    done = subprocess.run(
        make(kernel, "-s"),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        details = "\n".join(done.stdout.splitlines()[-SHOWN:])
        raise BuildError(f"the module does not build for {kernel.release}", details)
    return sorted((ROOT / "build" / kernel.release).glob("*.ko"))
