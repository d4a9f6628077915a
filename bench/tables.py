# SPDX-License-Identifier: GPL-2.0-only
"""What the groups of `make bench` have in common: programs, guests, ratios, tables."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from lab import LabError  # noqa: E402
from lab.packages import tool  # noqa: E402

BUILD = ROOT / "build/bench"
Row = Sequence[str]


def table(title: str, header: Row, rows: Sequence[Row]) -> None:
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    print(f"\n{title}")
    for row in [header, *rows]:
        first, *others = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  " + "  ".join([first, *(cell.strip().rjust(len(cell)) for cell in others)]))
    sys.stdout.flush()


def compile_program(compiler: str, name: str, arguments: Sequence[str]) -> Path:
    BUILD.mkdir(parents=True, exist_ok=True)
    program = BUILD / name
    subprocess.run(
        [tool(compiler), "-O2", "-Wall", "-o", program, *arguments], cwd=ROOT, check=True
    )
    return program


def in_guest(
    kernel: str, script: str, program: Path, options: Sequence[str], *command: str
) -> list[list[str]]:
    """The words of each line that a script of bench/ prints; the program is beside it."""
    done = subprocess.run(
        [str(ROOT / "scripts/guest"), "-q", "--no-load", "--kernel", kernel]
        + ["--timeout", "600", "--add", f"{ROOT / 'bench' / script}:/bench/{script}"]
        + ["--add", f"{program}:/bench/{program.name}", *options]
        + ["--", "sh", f"/bench/{script}", *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print(done.stdout + done.stderr, file=sys.stderr)
        raise LabError(f"the guest for {command[0]} failed with exit status {done.returncode}")
    return [line.split() for line in done.stdout.splitlines()]


def ratios(ours: Sequence[float], native: Sequence[float]) -> list[float]:
    """Round by round, because what disturbs one's turn lasts for longer than the turn."""
    return [a / b for a, b in zip(ours, native, strict=True)]


def ratio(ours: Sequence[float], native: Sequence[float]) -> str:
    if not native:
        return "-"
    found = median(ratios(ours, native))
    return f"{found:.2f}" if found >= 0.01 else f"1/{1 / found:.0f}"


def google_benchmark(program: Path, rounds: int) -> dict[str, float]:
    """Nanoseconds of CPU time by name."""
    done = subprocess.run(
        [str(program), "--benchmark_format=json", f"--benchmark_repetitions={rounds}"]
        + ["--benchmark_enable_random_interleaving=true", "--benchmark_min_time=0.01"],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # how the library was built, and the load
        text=True,
    )
    return {
        run["run_name"]: float(run["cpu_time"])
        for run in json.loads(done.stdout)["benchmarks"]
        if run.get("aggregate_name") == "median"
    }
