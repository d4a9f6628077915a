# SPDX-License-Identifier: GPL-2.0-only
"""Which guests `make bench` boots, and when: first all groups say what they want to have run, then it is run.

Each work has a guest to itself, so that none finds what another has left. In a short run those that can share a guest do:
to boot one takes longer than what is done in it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from lab import LabError  # noqa: E402

Lines = Sequence[Sequence[str]]  # the words of each
Found = TypeVar("Found")

PATIENCE = 600  # seconds for one work
COUNTER = "bench/count_exits.py"


@dataclass(frozen=True)
class Machine:
    """What a guest has to be."""

    options: tuple[str, ...] = ()  # of scripts/guest. Works that share a guest have the same.
    clock: str | None = None  # stable or unstable, or as the host has it
    cpus: int = 2  # at least, where the guest is shared
    devices: tuple[tuple[str, ...], ...] = ()  # options, too, but nobody minds those of another

    def fits(self, other: Machine) -> bool:
        clocks = {self.clock, other.clock}
        return self.options == other.options and clocks != {"stable", "unstable"}

    def with_what(self, other: Machine) -> Machine:
        return Machine(
            self.options,
            self.clock or other.clock,
            max(self.cpus, other.cpus),
            tuple(dict.fromkeys([*self.devices, *other.devices])),
        )

    def arguments(self) -> list[str]:
        clock = [] if self.clock is None else ["--clock", self.clock]
        devices = [option for device in self.devices for option in device]
        return ["--smp", str(self.cpus), *clock, *devices, *self.options]


@dataclass(frozen=True)
class Said:
    """What came of a work."""

    lines: Lines
    exits: dict[str, Any]  # as lab.exits has them; none if they were not asked for


@dataclass(frozen=True)
class Work:
    """A command for a guest. One that wants exits counted says when, by the two marks (docs/guest.md)."""

    machine: Machine
    command: str
    files: tuple[str, ...]  # for --add
    counts_exits: bool
    said: Future[Said] = field(default_factory=Future)


def _in_turn(works: Sequence[Work]) -> str:
    """A script that runs them, each below a line with its number; where they share a guest, count_exits.py counts."""
    script = "set -e\n"
    asked = 0
    for number, work in enumerate(works):
        script += f"echo work {number}\n"
        if work.counts_exits and len(works) > 1:
            ask = "echo host: {} {}\nread -r _ <&9\n"
            script += f"{ask.format('arm', asked)}{work.command}\n{ask.format('read', asked)}"
            asked += 1
        else:
            script += f"{work.command}\n"
    return script


def _by_work(output: str) -> list[Lines]:
    found: list[list[list[str]]] = []
    for line in output.splitlines():
        words = line.split()
        if words == ["work", str(len(found))]:
            found.append([])
        elif found and words[:1] != ["host:"]:
            found[-1].append(words)
    return [*found]


class Plan:
    """Everything that there is to run, so much at a time. Once something has failed nothing is started any more."""

    def __init__(self, kernel: str, folder: Path, at_once: int, shared: bool) -> None:
        self.folder = folder  # for what is neither said nor counted as exits
        self._kernel = kernel
        self._at_once = at_once
        self._shared = shared  # guests
        self._guests: list[list[Work]] = []
        self._steps: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._ended = False

    # ---- What there is to run

    def here(self, work: Callable[[], Found]) -> Future[Found]:
        """On this machine: in its turn, so that no more guests run beside it than beside another."""
        found: Future[Found] = Future()
        self._steps.append(lambda: _settle([found], lambda: [work()]))
        return found

    def in_guest(self, work: Work) -> Future[Said]:
        for guest in self._guests if self._shared else []:
            if all(work.machine.fits(other.machine) for other in guest):
                guest.append(work)
                return work.said
        guest = [work]
        self._guests.append(guest)
        self._steps.append(lambda: _settle([w.said for w in guest], lambda: self._boot(guest)))
        return work.said

    # ---- Running it

    def run(self, then: Callable[[], None]) -> None:
        """Runs it all; `then` takes what is found, in the order in which it was asked for."""
        with ThreadPoolExecutor(self._at_once) as pool:
            try:
                for step in self._steps:
                    pool.submit(step)
                then()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self._end()
                raise

    def _boot(self, works: Sequence[Work]) -> list[Said]:
        machine = reduce(Machine.with_what, (work.machine for work in works))
        files = dict.fromkeys(file for work in works for file in work.files)
        counting = [work for work in works if work.counts_exits]
        command = ["scripts/guest", "-q", "--no-load", "--kernel", self._kernel]
        command += ["--timeout", str(PATIENCE * len(works)), *machine.arguments()]
        command += [f"--add={file}" for file in files]
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            if counting:
                by = ["--exits-json", file.name] if len(works) == 1 else ["--host-script", COUNTER]
                command += ["--own-marks", *by]
            done = self._guest([*command, "--", _in_turn(works)])
            said = _by_work(done.stdout)
            if done.returncode != 0:
                print(done.stdout + done.stderr, file=sys.stderr)
                at = f" at: {works[len(said) - 1].command}" if said else ""
                raise LabError(f"a guest ended with exit status {done.returncode}{at}")
            if len(works) == 1:
                texts = [Path(file.name).read_text(encoding="ascii")] if counting else []
            else:
                lines = done.stderr.splitlines()
                texts = [line[6:] for line in lines if line.startswith("host: {")]
        if len(said) != len(works) or len(texts) != len(counting):
            raise LabError(
                f"{len(said)} of {len(works)} works, {len(texts)} of {len(counting)} counts"
            )
        counts = iter([json.loads(text) for text in texts])
        return [
            Said(lines, next(counts) if work.counts_exits else {})
            for work, lines in zip(works, said, strict=True)
        ]

    def _guest(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
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
        try:
            output, errors = child.communicate()
        finally:
            with self._lock:
                self._running.discard(child)
        return subprocess.CompletedProcess(command, child.returncode, output, errors)

    def _end(self) -> None:
        """Those that run are told to end."""
        with self._lock:
            self._ended = True
            for child in self._running:
                child.terminate()


def _settle(futures: Sequence[Future[Found]], work: Callable[[], Sequence[Found]]) -> None:
    try:
        results = work()
    except BaseException as error:  # pylint: disable=broad-except
        for future in futures:
            future.set_exception(error)
    else:
        for future, found in zip(futures, results, strict=True):
            future.set_result(found)
