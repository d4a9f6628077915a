# SPDX-License-Identifier: GPL-2.0-only
"""The host script: a program of the user that runs on the KVM host beside the guest."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping

GRACE = 5.0  # seconds that it has to end after SIGTERM


class HostScript:
    """Its stdout and stderr are one pipe. It leads a process group, so that everything that it started ends with it."""

    def __init__(self, file: str, environment: Mapping[str, str], descriptor: int) -> None:
        """`descriptor` is one more that it has, by the same number."""
        self._process = subprocess.Popen(
            [file],
            env=environment,
            cwd=environment["KVMPV_RUN_DIR"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(descriptor,),
        )
        assert self._process.stdout is not None
        self.output = self._process.stdout.fileno()
        self.end = os.pidfd_open(self._process.pid)  # readable when it has ended
        self.told_to_end = False

    def running(self) -> bool:
        return self._process.poll() is None

    def tell_to_end(self) -> None:
        self.told_to_end = True
        os.killpg(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Kill what is left of the process group."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # nothing is left
        self._process.wait()

    def status(self) -> int:
        """Its exit status, negative for a signal. Death by the SIGTERM that told it to end counts as 0."""
        status = self._process.wait()
        return 0 if self.told_to_end and status == -signal.SIGTERM else status
