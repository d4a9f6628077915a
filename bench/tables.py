# SPDX-License-Identifier: GPL-2.0-only
"""What the groups of `make bench` have in common: guests, programs, what has to be there, ratios, tables."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import TypeVar

from sizes import Sizes

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from lab import LabError  # noqa: E402
from lab.packages import tool  # noqa: E402

BUILD = ROOT / "build/bench"
# In a cell for which there is nothing to measure.
NOTHING = "-"
Row = Sequence[str]
Lines = Sequence[Sequence[str]]
Item = TypeVar("Item")
Found = TypeVar("Found")


# ---- Guests -------------------------------------------------------------------------------------


class Guests:
    """Programs that boot guests, so many at a time. Once one has failed none is started any more."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self._slots = threading.BoundedSemaphore(at_once)
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._ended = False

    def run(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        with self._slots:
            child = self._start(command)
            try:
                output, errors = child.communicate()
            finally:
                with self._lock:
                    self._running.discard(child)
        return subprocess.CompletedProcess(command, child.returncode, output, errors)

    def _start(self, command: Sequence[str | Path]) -> subprocess.Popen[str]:
        with self._lock:
            if self._ended:
                raise LabError("not measured, for something before it has failed")
            child = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
            self._running.add(child)
            return child

    def end(self) -> None:
        """Those that run are told to end."""
        with self._lock:
            self._ended = True
            for child in self._running:
                child.terminate()


# ---- One group's measurement --------------------------------------------------------------------


class Group:
    """What a group measures with, and the tables that it has printed."""

    def __init__(self, kernel: str, sizes: Sizes, remark: str, guests: Guests) -> None:
        self.kernel = kernel
        self.sizes = sizes
        self.guests = guests
        self.tables = 0
        self._remark = remark

    def each(self, work: Callable[[Item], Found], items: Iterable[Item]) -> list[Found]:
        """The work for each of them, with as many guests at a time as there may be."""
        if self.guests.at_once == 1:
            return [work(item) for item in items]
        every = list(items)
        with ThreadPoolExecutor(len(every)) as pool:
            return list(pool.map(work, every))

    def in_guest(self, script: str, program: Path, options: Sequence[str], *command: str) -> Lines:
        """The words of each line that a script of bench/ prints; the program is beside it."""
        done = self.guests.run(
            ["scripts/guest", "-q", "--no-load", "--kernel", self.kernel, "--timeout", "600"]
            + ["--add", f"bench/{script}:/bench/{script}"]
            + ["--add", f"{program}:/bench/{program.name}", *options]
            + ["--", "sh", f"/bench/{script}", *command]
        )
        if done.returncode != 0:
            print(done.stdout + done.stderr, file=sys.stderr)
            raise LabError(
                f"the guest for {command[0]} failed with exit status {done.returncode}"
            )
        return [line.split() for line in done.stdout.splitlines()]

    def table(self, title: str, header: Row, rows: Sequence[Row]) -> None:
        whole = rows and all(len(row) == len(header) and all(row) for row in rows)
        if not whole:
            raise LabError(f"{title}: a cell is missing in {[list(row) for row in rows]}")
        widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
        lines = [f"\n{title}{self._remark}"]
        for row in [header, *rows]:
            first, *others = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append("  " + "  ".join([first, *(o.strip().rjust(len(o)) for o in others)]))
        # At once: other groups may be printing theirs.
        sys.stdout.write("\n".join([*lines, ""]))
        sys.stdout.flush()
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
