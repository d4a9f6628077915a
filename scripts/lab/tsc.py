# SPDX-License-Identifier: GPL-2.0-only
"""The TSC of the machine: what it says, and how fast it counts by CLOCK_MONOTONIC.

QEMU's emulator gives its guests this TSC. A kernel that boots in one measures the rate within some milliseconds, and if the
machine is busy just then it may be wrong by a factor of twenty; so that kernel is told the rate. The lab's program on an
emulated host imports this file, hence no more imports than these.
"""

from __future__ import annotations

import ctypes
import mmap
import time

# rdtsc; shl rdx, 32; or rax, rdx; ret
READ_TSC = b"\x0f\x31\x48\xc1\xe2\x20\x48\x09\xd0\xc3"
LOOKS = 200  # each takes about a microsecond; one of them is not interrupted
WATCHED = (
    0.1  # seconds: both ends are known to a microsecond, so the rate is right to a part in 50,000
)


class Tsc:
    def __init__(self) -> None:
        self._code = mmap.mmap(
            -1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        )
        self._code.write(READ_TSC)
        place = ctypes.addressof(ctypes.c_char.from_buffer(self._code))
        self.read = ctypes.CFUNCTYPE(ctypes.c_uint64)(place)

    def _moment(self) -> tuple[int, int]:
        """CLOCK_MONOTONIC in ns and the TSC at the same moment: of several looks the shortest."""

        def look() -> tuple[int, int, int]:
            before_ns = time.monotonic_ns()
            tsc = self.read()
            after_ns = time.monotonic_ns()
            return after_ns - before_ns, (before_ns + after_ns) // 2, tsc

        _, ns, tsc = min(look() for _ in range(LOOKS))
        return ns, tsc

    def khz(self) -> int:
        begin_ns, begin_tsc = self._moment()
        time.sleep(WATCHED)  # a rate is a difference between two moments
        end_ns, end_tsc = self._moment()
        return round((end_tsc - begin_tsc) * 1_000_000 / (end_ns - begin_ns))
