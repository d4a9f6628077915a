# SPDX-License-Identifier: GPL-2.0-only
"""KASAN and UBSAN watch all C++ of the module that is built for the debug kernel that has them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from built import ROOT, built_for
from ktap import Case
from lab.kernels import kernel

# It touches memory by assembly alone, which no sanitizer sees.
UNWATCHED = {"eoi_callback"}
WATCHES = ("__asan_report_", "__asan_register_globals")


def judge() -> list[Case]:
    build = built_for(kernel("kasan")).build
    called = set[str]()
    results = []
    for source in sorted((ROOT / "src").rglob("*.cc")):
        names = _undefined(build / source.relative_to(ROOT).with_suffix(".o"))
        called |= names
        # A file that reaches nothing but its own globals has no access that could go wrong, and still has them watched.
        watched = any(name.startswith(WATCHES) for name in names)
        results.append(Case(source.name, watched == (source.stem not in UNWATCHED), f"{names}"))
    for report in ("out_of_bounds", "shift_out_of_bounds"):
        results.append(Case(f"UBSAN: {report}", f"__ubsan_handle_{report}" in called, f"{called}"))
    return results


def _undefined(file: Path) -> set[str]:
    done = subprocess.run(["nm", "-u", file], check=True, capture_output=True, text=True)
    return set(done.stdout.split())
