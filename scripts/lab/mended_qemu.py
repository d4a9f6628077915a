# SPDX-License-Identifier: GPL-2.0-only
"""The QEMU that emulates the host: a copy of the chosen one, in which one instruction does nothing.

KVM on the emulated host enters its guest by VMRUN, and may ask for an interrupt to be injected there. QEMU's helper_vmrun()
first stores the vector in the CPU's exception_index, then delivers the interrupt, and leaves exception_index as it is. Later
something may make the CPU leave its loop for a moment, such as the QMP command "stop". If nothing else is pending then, QEMU
takes the vector for an exception that it has to raise, and delivers the interrupt a second time, even if the guest has
interrupts off. At the first instruction of a system call the guest has no kernel stack yet, and has a double fault. Anywhere
else it gets an interrupt that nobody sent. QEMU 7.2 and 10.0 both do this.

The store has no other use, because the function that delivers the interrupt gets the vector as an argument. The guest's own
QEMU runs on KVM and never gets there, so it is the chosen one itself.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lab import LabError, cache, elf
from lab.qemu import PROGRAM, Qemu

DELIVER = "do_interrupt_x86_hardirq"

# helper_vmrun() as it injects an interrupt, in 7.2 and in 10.0. B is one register. Other events are injected by similar code,
# which stores the vector for a function that raises what it finds there. That code has to stay.
INJECTION = re.compile(
    rb"\x89([\x80-\xbf])...[\x80-\xff]"  # mov %esi,-N(B): exception_index = vector
    rb"\xc7([\x80-\x87])....\0\0\0\0"  # movl $0,N(B): exception_is_int = 0
    rb"\x48\xc7([\x80-\x87])....\xff\xff\xff\xff"  # movq $-1,N(B): exception_next_eip = -1
    rb"\xf6\x05....\x02\x0f\x85...."  # testb $2,qemu_loglevel; jne
    rb"\xba\x01\0\0\0\x48\x89(.)"  # mov $1,%edx; mov B,%rdi
    rb"\xe8(....)",  # call
    re.DOTALL,
)
NO_OP = bytes.fromhex("660f1f440000")  # one instruction, as long as the first of these


class Unknown(LabError):
    """This QEMU is not one of those that can be mended."""


def mended(chosen: Qemu) -> Qemu:
    """A copy of the chosen QEMU without the fault. If it cannot be made, the chosen one itself, and a line that says why."""
    root = chosen.root or Path("/")
    try:
        if chosen.program != root / PROGRAM:
            # The copy would not know where its modules and firmware are.
            raise Unknown(f"it is not {root / PROGRAM}")
        content = mend(chosen.program.read_bytes())
    except Unknown as error:
        print(f"lab: {chosen.program} emulates the host as it is: {error}", file=sys.stderr)
        return chosen

    def make(into: Path) -> None:
        copy = into / PROGRAM
        copy.parent.mkdir(parents=True)
        copy.write_bytes(content)
        copy.chmod(0o755)
        release = ".".join(map(str, chosen.version))
        (into / "release").write_text(f"{release}\n", encoding="utf-8")
        (into / "version").write_text("mended, emulates the host\n", encoding="utf-8")

    name = f"mended-qemu-{hashlib.sha256(content).hexdigest()[:12]}"
    return replace(chosen, program=cache.entry(name, make) / PROGRAM, root=root)


def mend(program: bytes) -> bytes:
    """The program with a no-op instead of the store. An error unless there is exactly one place where that can be."""
    deliver = elf.exported(program, DELIVER)
    if deliver is None:
        raise Unknown(f"it exports no {DELIVER}()")
    places = [
        part.offset + at
        for part in elf.code(program)
        for at in stores(program[part.offset : part.offset + part.size], part.address, deliver)
    ]
    if len(places) != 1:
        raise Unknown(f"{len(places)} places look like the one to mend")
    (at,) = places
    return program[:at] + NO_OP + program[at + len(NO_OP) :]


def stores(code: bytes, address: int, deliver: int) -> Iterator[int]:
    """Where in the code, which is loaded to this address, the vector is stored before the function at `deliver` is called."""
    for found in INJECTION.finditer(code):
        (store,), (is_int,), (next_eip,), (argument,), distance = found.groups()
        base = store & 7
        called = address + found.end() + int.from_bytes(distance, "little", signed=True)
        if is_int == next_eip == 0x80 | base and argument == 0xC7 | base << 3 and called == deliver:
            yield found.start()
