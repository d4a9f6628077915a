# SPDX-License-Identifier: GPL-2.0-only
"""The terminal of an interactive guest. Every key goes to the guest; afterwards the terminal is restored."""

from __future__ import annotations

import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def raw(descriptor: int) -> Iterator[None]:
    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
