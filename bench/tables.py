# SPDX-License-Identifier: GPL-2.0-only
"""What the groups of `make bench` have in common: programs, what has to be there, ratios, tables."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from statistics import median
from typing import TypeVar

from plan import ROOT, Lines, Machine, Plan, Said, Work
from sizes import Sizes

from lab import LabError
from lab.interrupt_ends import INSIDE
from lab.packages import tool

BUILD = ROOT / "build/bench"
# In a cell for which there is nothing to measure.
NOTHING = "-"
Row = Sequence[str]
# What a group returns once it has said what is to be run: makes its tables of what came of that.
Tables = Callable[[], None]
Item = TypeVar("Item")
Found = TypeVar("Found")


# ---- One group's measurement --------------------------------------------------------------------


class Group:
    """What a group measures with, and the tables that it has printed."""

    def __init__(self, kernel: str, sizes: Sizes, remark: str, plan: Plan) -> None:
        self.kernel = kernel
        self.sizes = sizes
        self.plan = plan
        self.tables = 0
        self._remark = remark

    def in_guest(
        self,
        machine: Machine,
        command: str,
        *arguments: object,
        environment: str = "",
        files: Sequence[str] = (),
        counts_exits: bool = False,
    ) -> Future[Said]:
        """What the command will say: a script of bench/, and what it is told to do."""
        script = command.split()[0]
        line = " ".join([environment, f"sh /bench/{command}", *map(str, arguments)]).strip()
        files = (f"bench/{script}:/bench/", "bench/load.sh:/bench/", *files)
        return self.plan.in_guest(Work(machine, line, files, counts_exits))

    def table(self, title: str, header: Row, rows: Sequence[Row]) -> None:
        whole = rows and all(len(row) == len(header) and all(row) for row in rows)
        if not whole:
            raise LabError(f"{title}: a cell is missing in {[list(row) for row in rows]}")
        widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
        lines = [f"\n{title}{self._remark}"]
        for row in [header, *rows]:
            first, *others = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append("  " + "  ".join([first, *(o.strip().rjust(len(o)) for o in others)]))
        print("\n".join(lines), flush=True)
        self.tables += 1


# ---- What has to be there -----------------------------------------------------------------------


def records(lines: Lines, kind: str, fields: int) -> list[Sequence[str]]:
    """What follows the word `kind` in each line that begins with it."""
    found = [words[1:] for words in lines if words and words[0] == kind]
    for words in found:
        if len(words) != fields:
            raise LabError(f"'{kind} {' '.join(words)}' has {len(words)} fields, not {fields}")
    if not found:
        raise LabError(f"the guest has printed no line '{kind}'")
    return found


def of(found: Mapping[Item, Found], key: Item, what: str) -> Found:
    if key not in found:
        raise LabError(f"{what} of {key} is missing")
    return found[key]


def complete(
    ns: Mapping[Item, Sequence[float]], names: Collection[Item], figures: int, what: str
) -> None:
    """Each of the names, and no other, has so many figures."""
    for name in {*names, *ns}:
        there = len(ns.get(name, ()))
        if there != (figures if name in names else 0):
            raise LabError(f"{what}: {there} figures of {name}, not {figures}")


# ---- Programs -----------------------------------------------------------------------------------


def compile_program(compiler: str, name: str, arguments: Sequence[str]) -> Path:
    BUILD.mkdir(parents=True, exist_ok=True)
    program = BUILD / name
    subprocess.run(
        [tool(compiler), "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, *arguments],
        cwd=ROOT,
        check=True,
    )
    return program


@cache
def guest_program(source: Path, *options: str) -> Path:
    """Static, for a guest has no libraries."""
    return compile_program("gcc-12", source.stem, ["-static", *options, str(source)])


# %gs:kvmpv_cpu has to be the program's own variable: linked without -pie, because the base of %gs is 0 in user space.
CXX_OPTIONS = ("-std=gnu++20", "-fno-exceptions", "-fcf-protection=branch", "-fno-pie", "-no-pie")
CXX_INCLUDES = ("-Iinclude", "-Isrc", "-Ibench")


def compile_benchmark(name: str, *objects: str) -> Path:
    """bench/NAME.cc with objects of the module. First only looked at, with a `bool` that takes nothing but a bool."""
    source = f"bench/{name}.cc"
    options = [*CXX_OPTIONS, *CXX_INCLUDES]
    strict = ["-fsyntax-only", "-include", "bench/strict_bool.hh"]
    subprocess.run([tool("g++-12"), *strict, *options, source], cwd=ROOT, check=True)
    return compile_program("g++-12", name, [*options, source, *objects, "-lbenchmark"])


def google_benchmark(program: Path, names: Collection[str], sizes: Sizes) -> dict[str, float]:
    """Nanoseconds of CPU time by name."""
    done = subprocess.run(
        [program, "--benchmark_format=json", f"--benchmark_repetitions={sizes.rounds}"]
        + ["--benchmark_enable_random_interleaving=true"]
        + [f"--benchmark_min_time={sizes.least_seconds}"],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # how the library was built, and the load
        text=True,
    )
    medians: dict[str, list[float]] = {}
    for run in json.loads(done.stdout)["benchmarks"]:
        if run.get("aggregate_name") == "median":
            medians.setdefault(run["run_name"], []).append(float(run["cpu_time"]))
    complete(medians, names, 1, program.name)
    return {name: value for name, (value,) in medians.items()}


# ---- Ratios -------------------------------------------------------------------------------------


def ratios(ours: Sequence[float], native: Sequence[float]) -> list[float]:
    """Round by round, because what disturbs one's turn lasts for longer than the turn."""
    return [a / b for a, b in zip(ours, native, strict=True)]


def ratio(ours: Sequence[float], native: Sequence[float]) -> str:
    found = median(ratios(ours, native))
    return f"{found:.2f}" if found >= 0.01 else f"1/{1 / found:.0f}"
