#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""On the KVM host: disturbs the guest's clock when the guest asks for it.

The guest prints `host: VERB ARGUMENT...` and waits for one line of answer:
  stop SECONDS        stops the guest for that long; answers with the least and the greatest possible length of the pause, in ns
  set PA FIELD VALUE  writes a field of the clock record at guest-physical PA by the version protocol; +N and -N are added
  tear PA             leaves the record's version odd
  mend PA             restores the record as it was before the first write to it
It writes to the memory of the guest's QEMU while the guest runs. The gdb stub would have to stop the guest for that, and when
the guest continues KVM writes all records.
"""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

from asked import reply, requests
from qmp import Qmp

# Offset and format of each field of struct pvclock_vcpu_time_info.
FIELDS = {
    "version": (0, "I"),
    "tsc_timestamp": (8, "Q"),
    "system_time": (16, "Q"),
    "tsc_to_system_mul": (24, "I"),
    "tsc_shift": (28, "b"),
    "flags": (29, "B"),
}
RECORD_SIZE = 32
STABLE = 1  # the other flag, 2, says that the guest was stopped


class GuestMemory:
    """The guest's memory below 3 GB. QEMU maps it in one piece, which is its largest mapping."""

    def __init__(self, qemu: int) -> None:
        self._file = os.open(f"/proc/{qemu}/mem", os.O_RDWR)
        spans = []
        for line in Path(f"/proc/{qemu}/maps").read_text(encoding="ascii").splitlines():
            first, last = (int(part, 16) for part in line.split()[0].split("-"))
            spans.append((last - first, first))
        self._base = max(spans)[1]

    def read(self, physical: int, size: int) -> bytes:
        return os.pread(self._file, size, self._base + physical)

    def write(self, physical: int, data: bytes) -> None:
        assert os.pwrite(self._file, data, self._base + physical) == len(data)


class Records:
    def __init__(self, memory: GuestMemory) -> None:
        self._memory = memory
        self._before: dict[int, bytes] = {}

    def _get(self, physical: int, field: str) -> int:
        offset, code = FIELDS[field]
        data = self._memory.read(physical + offset, struct.calcsize(code))
        return int(struct.unpack(code, data)[0])

    def _put(self, physical: int, field: str, value: int) -> None:
        offset, code = FIELDS[field]
        self._memory.write(physical + offset, struct.pack(code, value))

    def _keep(self, physical: int) -> None:
        self._before.setdefault(physical, self._memory.read(physical, RECORD_SIZE))

    def tear(self, physical: int) -> None:
        self._keep(physical)
        self._put(physical, "version", self._get(physical, "version") | 1)

    def _end(self, physical: int) -> None:
        self._put(physical, "version", (self._get(physical, "version") + 1) & 0xFFFFFFFF)

    def set(self, physical: int, field: str, value: str) -> None:
        self.tear(physical)
        base = self._get(physical, field) if value[0] in "+-" else 0
        self._put(physical, field, base + int(value, 0))
        self._end(physical)

    def mend(self, physical: int) -> None:
        self.tear(physical)
        for field, (offset, code) in FIELDS.items():
            if field != "version":
                value = int(struct.unpack_from(code, self._before[physical], offset)[0])
                # If the guest has not noticed the last pause by then, the flag announces no new one.
                self._put(physical, field, value & STABLE if field == "flags" else value)
        self._end(physical)


def stop(seconds: float) -> str:
    qemu = Qmp()
    longest = time.monotonic_ns()
    qemu.command("stop")
    shortest = time.monotonic_ns()
    time.sleep(seconds)
    shortest = time.monotonic_ns() - shortest
    qemu.command("cont")
    return f"{shortest} {time.monotonic_ns() - longest}"


def main() -> None:
    records = Records(GuestMemory(int(os.environ["KVMPV_QEMU_PID"])))
    for verb, *arguments in requests():
        answer = "done"
        if verb == "stop":
            answer = stop(float(arguments[0]))
        elif verb == "set":
            records.set(int(arguments[0], 0), arguments[1], arguments[2])
        elif verb == "tear":
            records.tear(int(arguments[0], 0))
        elif verb == "mend":
            records.mend(int(arguments[0], 0))
        else:
            raise ValueError(f"the guest asks for {verb}")
        reply(verb, arguments, answer)


if __name__ == "__main__":
    main()
