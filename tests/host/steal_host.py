#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""On the KVM host: makes vCPUs wait, knows how long they really waited, and lies about it.

The guest prints `host: VERB ARGUMENT...` and waits for one line of answer:
  pin                 all vCPUs share one host CPU with a program that never sleeps
  unpin               ends the program; the vCPUs stay on that CPU
  share               all vCPUs share one host CPU
  truth PA...         for each vCPU, whose steal record is at guest-physical PA: for how many ns its thread could have run and
                      did not since it was created, and the record's steal, both at the same moment
  set PA FIELD VALUE  writes a field of the steal record at guest-physical PA by the gdb stub, which stops the guest for that
  migrate             migrates the guest to a second QEMU, whose threads have waited for different times
  tear PA             leaves the record's version odd while the guest runs, until KVM writes the record again
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "dialogue"))

from asked import reply, requests
from records import GuestMemory
from lab.beside import Guest

# Offset and format of the fields of struct kvm_steal_time.
FIELDS = {"steal": (0, "Q"), "version": (8, "I")}


class Host:
    def __init__(self) -> None:
        self._guest = Guest()
        self._memory = GuestMemory(self._guest.pid)
        self._hog: subprocess.Popen[bytes] | None = None
        self._cpu = min(os.sched_getaffinity(0))

    def share(self) -> str:
        for vcpu in range(len(self._guest.threads)):
            self._guest.pin(vcpu, self._cpu)
        return "done"

    def pin(self) -> str:
        self.share()
        self._hog = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        os.sched_setaffinity(self._hog.pid, {self._cpu})
        return "done"

    def unpin(self) -> str:
        assert self._hog is not None
        self._hog.kill()
        self._hog.wait()
        self._hog = None
        return "done"

    def truth(self, *records: str) -> str:
        return " ".join(self._truth(vcpu, int(record, 0)) for vcpu, record in enumerate(records))

    def _truth(self, vcpu: int, physical: int) -> str:
        """Not while the guest is stopped: its threads wait to be stopped, and KVM does not write that until they continue."""
        offset, code = FIELDS["steal"]
        for _ in range(1000):
            delay = self._guest.run_delay(vcpu)
            raw = self._memory.read(physical + offset, struct.calcsize(code))
            if delay == self._guest.run_delay(vcpu):
                return f"{delay} {struct.unpack(code, raw)[0]}"
        raise RuntimeError(f"vCPU {vcpu} was never left alone for long enough")

    def set(self, physical: str, field: str, value: str) -> str:
        offset, code = FIELDS[field]
        self._guest.write_physical(int(physical, 0) + offset, struct.pack(code, int(value, 0)))
        return "done"

    def tear(self, physical: str) -> str:
        offset, code = FIELDS["version"]
        place = int(physical, 0) + offset
        version = int(struct.unpack(code, self._memory.read(place, struct.calcsize(code)))[0])
        self._memory.write(place, struct.pack(code, version | 1))
        return "done"

    def migrate(self) -> str:
        self._guest.migrate()
        self._memory = GuestMemory(self._guest.pid)
        return "done"

    def answer(self, verb: str, arguments: list[str]) -> str:
        if verb == "pin":
            return self.pin(*arguments)
        if verb == "unpin":
            return self.unpin(*arguments)
        if verb == "share":
            return self.share(*arguments)
        if verb == "truth":
            return self.truth(*arguments)
        if verb == "set":
            return self.set(*arguments)
        if verb == "migrate":
            return self.migrate()
        if verb == "tear":
            return self.tear(*arguments)
        raise ValueError(f"the guest asks for {verb}")


def main() -> None:
    host = Host()
    for verb, *arguments in requests():
        reply(verb, arguments, host.answer(verb, arguments))


if __name__ == "__main__":
    main()
