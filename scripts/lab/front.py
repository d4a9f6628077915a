# SPDX-License-Identifier: GPL-2.0-only
"""What scripts/guest shows during a run and after it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from lab import LabError, arguments, frames, run, terminal
from lab.arguments import Asked
from lab.progress import Progress
from lab.project import BuildError
from lab.result import FAILED, GuestResult

NAME = "guest"


class Front(run.Audience):
    """COMMAND's stdout and stderr become ours. Progress, the host script and the console go to stderr."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._interactive = asked.options.command is None
        self._terminal = ExitStack()
        self._progress: Progress | None = None
        self._line = b""

    def step(self, what: str | None) -> None:
        self.close()
        if what is not None and not self._asked.quiet:
            self._progress = Progress(what)
            self._progress.__enter__()

    def tick(self) -> None:
        if self._progress is not None:
            self._progress.tick()

    def close(self) -> None:
        if self._progress is not None:
            self._progress.__exit__(None, None, None)
            self._progress = None

    def hear(self, kind: bytes, data: bytes) -> None:
        if kind in (frames.OUTPUT, frames.TERMINAL):
            _write(1, data)
        elif kind == frames.ERRORS:
            _write(2, data)
        elif kind == frames.BESIDE:
            self._beside(data)
        elif kind == frames.CONSOLE and self._asked.verbose:
            _write(2, data)

    def note(self, text: str) -> None:
        print(f"{NAME}: {text}", file=sys.stderr)

    def _beside(self, data: bytes) -> None:
        *lines, self._line = (self._line + data).split(b"\n")
        _write(2, b"".join(b"host: " + line + b"\n" for line in lines))


def main(words: Sequence[str]) -> int:
    asked = arguments.parse(words)
    front = Front(asked)
    try:
        result = run.run(asked.options, front)
    except BuildError as error:
        print(error.details, file=sys.stderr)
        front.note(str(error))
        return FAILED
    except LabError as error:
        front.note(str(error))
        return FAILED
    except KeyboardInterrupt:
        return 130
    _report(asked, result, front)
    return result.status


def _report(asked: Asked, result: GuestResult, front: Front) -> None:
    if asked.log is not None:
        asked.log.write_text(result.log, encoding="utf-8")
    if result.failure is not None:
        print(
            "".join(f"  | {line}\n" for line in result.details.splitlines()),
            end="",
            file=sys.stderr,
        )
        front.note(result.failure)
    if result.exits is not None:
        if asked.exits_json is not None:
            asked.exits_json.write_text(json.dumps(result.exits.as_dict(), indent=1) + "\n")
        print(result.exits.table(), end="", file=sys.stderr)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
