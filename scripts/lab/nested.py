# SPDX-License-Identifier: GPL-2.0-only
"""What on_host.py does on an emulated host before its job: from then on it lives in the machine's own root, and in its time."""

from __future__ import annotations

import os
import subprocess
import sys
import time

TYPE_CHECKING = False  # typing itself would be the slowest import
if TYPE_CHECKING:
    from typing import Any


def enter(job: dict[str, Any]) -> None:
    # The clock stood still since the host was saved.
    time.clock_settime_ns(time.CLOCK_REALTIME, job["now_ns"])
    subprocess.run(["/enter"], check=True)
    os.chroot("/root")
    os.chdir("/")
    sys.path[0] = job["scripts"]
