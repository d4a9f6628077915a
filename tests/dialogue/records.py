# SPDX-License-Identifier: GPL-2.0-only
"""The records that the host shares with the guest, changed in the memory of its QEMU while the guest runs.

The gdb stub would have to stop the guest for that, and when the guest continues KVM writes all records.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from lab.beside import Guest

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
# Likewise of struct kvm_steal_time.
STEAL_FIELDS = {"steal": (0, "Q"), "version": (8, "I")}
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


class ClockRecords:
    """By their guest-physical addresses."""

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
        """Leaves the version odd."""
        self._keep(physical)
        self._put(physical, "version", self._get(physical, "version") | 1)

    def _end(self, physical: int) -> None:
        self._put(physical, "version", (self._get(physical, "version") + 1) & 0xFFFFFFFF)

    def set(self, physical: int, field: str, value: int) -> None:
        """By the version protocol."""
        self.tear(physical)
        self._put(physical, field, value)
        self._end(physical)

    def add(self, physical: int, field: str, value: int) -> None:
        self.tear(physical)
        self._put(physical, field, self._get(physical, field) + value)
        self._end(physical)

    def mend(self, physical: int) -> None:
        """Restores it as it was before the first write to it."""
        self.tear(physical)
        for field, (offset, code) in FIELDS.items():
            if field != "version":
                value = int(struct.unpack_from(code, self._before[physical], offset)[0])
                # If the guest has not noticed the last pause by then, the flag announces no new one.
                self._put(physical, field, value & STABLE if field == "flags" else value)
        self._end(physical)


class StealRecords:
    """By their guest-physical addresses. After a migration the guest is in another QEMU's memory."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._pid = guest.pid
        self._open = GuestMemory(guest.pid)

    def _memory(self) -> GuestMemory:
        if self._guest.pid != self._pid:
            self._pid = self._guest.pid
            self._open = GuestMemory(self._pid)
        return self._open

    def get(self, physical: int, field: str) -> int:
        """Not while the guest is stopped: its threads wait to be stopped, and KVM does not write that until they continue."""
        offset, code = STEAL_FIELDS[field]
        raw = self._memory().read(physical + offset, struct.calcsize(code))
        return int(struct.unpack(code, raw)[0])

    def set(self, physical: int, field: str, value: int) -> None:
        """By the gdb stub, which stops the guest for that."""
        offset, code = STEAL_FIELDS[field]
        self._guest.write_physical(physical + offset, struct.pack(code, value))

    def tear(self, physical: int) -> None:
        """Leaves the version odd while the guest runs, until KVM writes the record again."""
        offset, code = STEAL_FIELDS["version"]
        odd = self.get(physical, "version") | 1
        self._memory().write(physical + offset, struct.pack(code, odd))
