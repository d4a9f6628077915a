# SPDX-License-Identifier: GPL-2.0-only
"""The library that stands between the guest's QEMU and KVM (--shim), and plays a host that QEMU cannot be: see lab/shim/."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

from lab import LabError
from lab.packages import tool
from lab.process import environment
from lab.project import ROOT

SOURCES = Path(__file__).parent / "shim"
LIBRARY = ROOT / "build" / "shim" / "kvm_shim.so"
LONGEST = 256  # bytes of what it says about a SPEC

# Linked by the C compiler: QEMU on an emulated host may have no libstdc++, and nothing here needs it.
FLAGS = (
    *"-std=gnu++20 -O2 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden".split(),
    *"-fno-exceptions -fno-rtti -fno-threadsafe-statics -Wl,-z,defs".split(),
    f"-I{ROOT / 'include'}",
)


def library() -> Path:
    """The library, built if its sources are newer."""
    sources = [*SOURCES.iterdir(), *(ROOT / "include" / "kvmpv").iterdir()]
    newest = max(source.stat().st_mtime_ns for source in sources)
    if LIBRARY.exists() and LIBRARY.stat().st_mtime_ns > newest:
        return LIBRARY
    LIBRARY.parent.mkdir(parents=True, exist_ok=True)
    # Renamed when it is whole: another run may be about to load it.
    fresh = LIBRARY.with_suffix(f".{os.getpid()}")
    done = subprocess.run(
        [tool("gcc-12"), *FLAGS, "-o", fresh, SOURCES / "shim.cc"],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LabError(f"--shim: the library does not build:\n{done.stderr}")
    fresh.rename(LIBRARY)
    return LIBRARY


def check(spec: str) -> None:
    """A wrong SPEC is an error, by the parser that will read it in QEMU."""
    if "\0" in spec:
        raise LabError("--shim: SPEC cannot hold a null byte")
    said = ctypes.create_string_buffer(LONGEST)
    ctypes.CDLL(str(library())).kvmpv_shim_problem(os.fsencode(spec), said, len(said))
    if said.value:
        raise LabError(f"--shim: {os.fsdecode(said.value)}")


def files(work: str) -> dict[str, str]:
    """On the KVM host, by their environment variable: where accesses are logged, and what the host script switches on."""
    return {"KVMPV_SHIM_LOG": f"{work}/shim.log", "KVMPV_SHIM_ON": f"{work}/shim.on"}


def words(spec: str, work: str) -> list[str]:
    """What stands before the words that start QEMU."""
    settings = {"LD_PRELOAD": str(library()), "KVMPV_SHIM": spec, **files(work)}
    return ["/usr/bin/env", *(f"{name}={value}" for name, value in settings.items())]
