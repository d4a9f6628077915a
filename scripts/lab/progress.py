# SPDX-License-Identifier: GPL-2.0-only
"""Shows on one line of stderr how far a long step is."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType

REWRITE_EVERY = 0.2  # seconds, on a terminal
REPEAT_EVERY = 10.0  # seconds, in a log


class Progress:
    """On a terminal the line is rewritten in place. Elsewhere a new line is added every ten seconds."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._detail = ""
        self._terminal = sys.stderr.isatty()
        self._started = time.monotonic()
        self._shown = self._started

    def __enter__(self) -> Progress:
        self._show()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._detail = "done" if kind is None else "not finished"
        if self._terminal:
            self._show()
            print(file=sys.stderr)
        elif kind is not None or time.monotonic() - self._started >= REPEAT_EVERY:
            self._show()  # in a log the end of a short step is not shown: the next one begins there

    def note(self, detail: str) -> None:
        """Remember how far the step is."""
        self._detail = detail
        self.tick()

    def tick(self) -> None:
        """Show the line if it is time to. Call this at least once a second."""
        due = REWRITE_EVERY if self._terminal else REPEAT_EVERY
        if time.monotonic() - self._shown >= due:
            self._show()

    def _show(self) -> None:
        self._shown = time.monotonic()
        seconds = int(self._shown - self._started)
        line = f"{self._what}: {seconds // 60}:{seconds % 60:02} {self._detail}".rstrip()
        if self._terminal:
            line = line[: shutil.get_terminal_size().columns - 1]
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)
