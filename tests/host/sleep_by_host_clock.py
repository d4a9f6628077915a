#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""On the KVM host: how long does the guest's `sleep` take by the host's clock?

Waits for the guest's marks in its output and compares what lies between them with what the guest says it slept.
"""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

# The guest's shell needs time to print a mark and to start sleep, a few milliseconds each under
# emulation; a clock that runs wrong by a tenth is far outside.
TOLERANCE_S = 0.4


def wait_for(mark: str, output: Path) -> float:
    """The host's time at which the mark was seen; scripts/guest ends this script with the guest."""
    while mark not in output.read_text(errors="replace"):
        time.sleep(0.002)
    return time.monotonic()


def main() -> int:
    output = Path(os.environ["KVMPV_OUTPUT"])
    wrong = 0
    for name in ("native", "kvmpv"):
        start = wait_for(f"{name} sleeps ", output)
        end = wait_for(f"{name} awoke", output)
        match = re.search(rf"{name} sleeps (\d+) s", output.read_text(errors="replace"))
        assert match is not None
        slept = int(match[1])
        took = end - start
        print(f"with {name}, sleep {slept} took {took:.3f} s by the host's clock")
        wrong += not slept - 0.01 <= took <= slept + TOLERANCE_S
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
