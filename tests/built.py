# SPDX-License-Identifier: GPL-2.0-only
"""Where the project is, the modules that were built for the stock kernels, and the programs for the guests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from lab.debian_kernel import of_tier  # noqa: E402
from lab.interrupt_ends import INSIDE  # noqa: E402
from lab.kernels import Kernel, kernel  # noqa: E402

STOCK_KERNELS = of_tier("whole")
CHECKED_KERNELS = (*STOCK_KERNELS, *of_tier("part"), "kunit")  # whose guests `make check` boots
ONLY_BUILT_KERNELS = of_tier("build")  # for which it builds


@dataclass(frozen=True)
class BuiltModule:
    release: str
    build: Path
    file: Path


def built_for(built_kernel: Kernel) -> BuiltModule:
    build = ROOT / "build" / built_kernel.release
    return BuiltModule(built_kernel.release, build, build / "kvmpv.ko")


def modules_of_stock_kernels() -> list[BuiltModule]:
    return [built_for(kernel(name)) for name in STOCK_KERNELS]


def run(command: Sequence[str | Path], **environment: str) -> tuple[int, str]:
    """Runs a command in the project's folder. Returns its exit status and everything that it printed."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    return done.returncode, done.stdout


PROGRAMS = Path("build/tests")


def program_sources() -> list[Path]:
    return [*sorted((ROOT / "tests/guest").rglob("*.c")), *sorted(INSIDE.glob("*.c"))]


def compile_program(source: Path) -> tuple[int, str]:
    """Static, for a guest has no libraries."""
    (ROOT / PROGRAMS).mkdir(parents=True, exist_ok=True)
    return run(
        ["gcc-12", "-O2", "-Wall", "-Werror", "-static", "-o", PROGRAMS / source.stem, source]
    )
