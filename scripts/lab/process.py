# SPDX-License-Identifier: GPL-2.0-only
"""Starts other programs, none of which outlives us."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from lab import LabError
from lab.packages import SEARCH_PATH, tool
from lab.progress import Progress

TAIL_LINES = 40  # lines shown of a failed program's output
GRACE = 5.0  # seconds between SIGTERM and SIGKILL to a process group


def end_on_signals() -> None:
    """Make SIGTERM and SIGHUP unwind like Ctrl-C, so that every cleanup runs. Only for the main program."""

    def unwind(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, unwind)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our environment without variables that would influence another make, and with English messages."""
    steering = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "GNUMAKEFLAGS", "LANGUAGE"}
    kept = {name: value for name, value in os.environ.items() if name not in steering}
    return kept | {"LC_ALL": "C.UTF-8", "PATH": SEARCH_PATH} | dict(extra or {})


def output(command: Sequence[str | Path]) -> str | None:
    """The output of a short command, or None if it fails. For questions to which "no" is an answer."""
    done = subprocess.run(
        [tool(str(command[0])), *command[1:]],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode == 0 else None


def run(
    command: Sequence[str | Path],
    what: str,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    detail: Callable[[str], str | None] = lambda line: None,
    machine_readable: bool = False,
) -> None:
    """Run a long command in its own process group. Meanwhile `what` and the detail of its last line are shown.

    If it fails, the end of its output goes to stderr, and the error says what failed. Lines with a detail
    are left out there if they are machine-readable.
    """
    program = tool(str(command[0]))
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    # setpriv: the command gets a signal even if we are killed by SIGKILL.
    bound_to_us = [str(tool("setpriv")), "--pdeathsig", "TERM", "--"]
    with Progress(what) as progress, subprocess.Popen(
        [*bound_to_us, program, *command[1:]],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as child:
        try:
            for line in _lines(child, progress):
                seen = detail(line)
                if seen is not None:
                    progress.note(seen)
                if seen is None or not machine_readable:
                    tail.append(line)
            status = child.wait()
        except BaseException:
            end_group(child)
            raise
        if status != 0:
            end_group(child)
            raise _failure(what, program, status, tail)


def _lines(child: subprocess.Popen[bytes], progress: Progress) -> Iterator[str]:
    assert child.stdout is not None
    rest = b""
    while True:
        ready, _, _ = select.select([child.stdout], [], [], 1.0)
        progress.tick()
        if not ready:
            continue
        chunk = os.read(child.stdout.fileno(), 65536)
        if not chunk:
            break
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")


def _failure(what: str, program: Path, status: int, tail: Sequence[str]) -> LabError:
    sys.stderr.write("".join(f"  | {line}\n" for line in tail))
    how = f"exit status {status}" if status > 0 else signal.Signals(-status).name
    return LabError(f"{what}: {program.name} failed ({how}); the end of its output is above")


def end_group(child: subprocess.Popen[bytes]) -> None:
    """End the child and everything that it started: first by SIGTERM, then by SIGKILL."""
    impatience = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    # A second Ctrl-C must not interrupt this.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, impatience)
    try:
        for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, float("inf"))):
            deadline = time.monotonic() + patience
            alive = _signal_group(child, number)
            while alive and time.monotonic() < deadline:
                child.poll()  # the group would exist for ever if nobody read the exit status
                time.sleep(0.02)  # nothing signals the end of a process group
                alive = _signal_group(child, 0)
        child.wait()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _signal_group(child: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal to the group (0: none). False if no process is left in it."""
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return False
    return True
