#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""On the KVM host: how long does the guest's `sleep` take by the host's clock?

Waits for the guest's marks in its output (tests/guest/sleep.sh) and compares the time between them with what the guest says it slept.
A guest that ends before its last mark is a failure.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from types import FrameType

# Each mark takes its time to get here, some milliseconds under emulation and more on a busy machine, and the guest's shell takes
# some to start sleep. A clock that runs wrong by an eighth is outside.
EARLY_S, LATE_S = 0.3, 0.6


def ended_early(signal_number: int, frame: FrameType | None) -> None:
    print("the guest ended before its last mark")
    sys.exit(1)


def stamped_lines() -> Iterator[tuple[float, str]]:
    """Each new line of the guest's output with the host's time at which it came. What was there before us has no such time."""
    tail = subprocess.Popen(
        ["tail", "-n", "0", "-f", os.environ["KVMPV_OUTPUT"]], stdout=subprocess.PIPE, text=True
    )
    assert tail.stdout is not None
    try:
        for line in tail.stdout:
            yield time.monotonic(), line
    finally:
        tail.kill()


def main() -> int:
    signal.signal(signal.SIGTERM, ended_early)
    wrong = 0
    timed = set[str]()
    begun_at: float | None = None
    seconds = 0
    for at, line in stamped_lines():
        if match := re.match(r"# (\w+) sleeps (\d+) s", line):
            begun_at, seconds = at, int(match[2])
        elif (match := re.match(r"# (\w+) awoke", line)) and begun_at is not None:
            took = at - begun_at
            print(
                f"on {match[1]}, sleep {seconds} took {took:.3f} s by the host's clock", flush=True
            )
            wrong += not seconds - EARLY_S <= took <= seconds + LATE_S
            timed.add(match[1])
            if timed == {"native", "kvmpv"}:
                return 1 if wrong else 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
