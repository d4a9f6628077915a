# SPDX-License-Identifier: GPL-2.0-only
"""What the groups of tests/check came to, kernel by kernel.

Each run adds its lines to build/results.txt. scripts/kernels-table takes the last line of each group over into
tests/results.txt, from which docs/kernels.md and the order of the next run are made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from built import ROOT

RECORDED = ROOT / "build/results.txt"
KEPT = ROOT / "tests/results.txt"
HEAD = (
    "# written by scripts/kernels-table: group, kernel, release, cases passed, cases failed, seconds"
    " (0: not known)\n"
)
NO_KERNEL = "-"  # of a group that has none


@dataclass(frozen=True)
class Result:
    group: str
    kernel: str
    release: str
    passed: int
    failed: int
    seconds: int

    def line(self) -> str:
        words = (self.group, self.kernel, self.release, self.passed, self.failed, self.seconds)
        return "\t".join(map(str, words)) + "\n"

    @classmethod
    def parse(cls, line: str) -> Result:
        group, kernel, release, *numbers = line.rstrip("\n").split("\t")
        passed, failed, seconds = map(int, numbers)
        return cls(group, kernel, release, passed, failed, seconds)


Results = dict[tuple[str, str], Result]  # by group and kernel


def parse(text: str) -> Results:
    """Of several lines of one group on one kernel the last one holds."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    found = [Result.parse(line) for line in lines]
    return {(result.group, result.kernel): result for result in found}


def read(file: Path) -> Results:
    return parse(file.read_text(encoding="utf-8")) if file.is_file() else {}


def text(results: Iterable[Result]) -> str:
    ordered = sorted(results, key=lambda result: (result.group, result.kernel))
    return HEAD + "".join(result.line() for result in ordered)


def record(result: Result) -> None:
    """Lines are added: an only group that is run again leaves the others as they are."""
    RECORDED.parent.mkdir(exist_ok=True)
    with RECORDED.open("a", encoding="utf-8") as file:
        file.write(result.line())


def seconds() -> dict[tuple[str, str], int]:
    """How long each group took when its result was last kept, where that is known."""
    return {key: result.seconds for key, result in read(KEPT).items() if result.seconds}
