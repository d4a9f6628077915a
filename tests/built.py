# SPDX-License-Identifier: GPL-2.0-only
"""Where the project is, and the modules that were built for the stock kernels."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from lab.kernels import Kernel, kernel  # noqa: E402

STOCK_KERNELS = ("6.1", "6.12")


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
