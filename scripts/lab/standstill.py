# SPDX-License-Identifier: GPL-2.0-only
"""Prints where a guest stands that has not ended in time. on_host.py runs it on the KVM host.

usage: python3 -m lab.standstill QMP-SOCKET
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator

from lab.qmp import Qmp, QmpError

LOOKS = 2
APART = 1.0  # seconds between them: a CPU that moves is told from one that does not
PATIENCE = 10.0  # seconds for each answer of QEMU's; it gives one within a tenth of a second
WORDS = 512  # of a CPU's stack that are looked through, 4 kB
KERNEL_TEXT = range(0xFFFFFFFF80000000, 0xFFFFFFFFC0000000)  # wherever a kernel puts itself
RETURNS = 16  # addresses of a CPU's stack that are shown

CPU = re.compile(r"^CPU#(\d+)", re.MULTILINE)
WORD = re.compile(r"\b0x([0-9a-f]{16})\b")


def where(qmp: Qmp) -> Iterator[str]:
    """A line for each CPU in each look, then what lies on their stacks."""
    for look in range(LOOKS):
        if look:
            time.sleep(APART)
        registers = qmp.monitor("info registers -a")
        yield from cpus(registers)
    for cpu, stack in stacks(registers).items():
        qmp.monitor(f"cpu {cpu}")
        yield f"CPU {cpu} may return to: {' '.join(returns(qmp.monitor(f'x /{WORDS}gx {stack:#x}')))}"


def cpus(registers: str) -> Iterator[str]:
    """`info registers -a` in short."""
    for cpu, text in _each(registers):
        interrupts = "on" if _number("RFL", text) & 0x200 else "off"
        halted = ", halted" if "HLT=1" in text else ""
        at, stack = _number("RIP", text), _number("RSP", text)
        yield f"CPU {cpu}: at {at:016x}, stack {stack:016x}, interrupts {interrupts}{halted}"


def stacks(registers: str) -> dict[int, int]:
    """The stack pointers of those CPUs that are in the kernel."""
    found = {cpu: _number("RSP", text) for cpu, text in _each(registers)}
    return {cpu: stack for cpu, stack in found.items() if stack >> 63}


def returns(dump: str) -> list[str]:
    """The words on a stack that could be addresses in the kernel, the innermost first."""
    found = [word for word in WORD.findall(dump) if int(word, 16) in KERNEL_TEXT]
    return found[:RETURNS]


def _each(registers: str) -> Iterator[tuple[int, str]]:
    _, *parts = CPU.split(registers)
    for cpu, text in zip(parts[::2], parts[1::2]):
        yield int(cpu), text


def _number(name: str, text: str) -> int:
    found = re.search(rf"\b{name} *=([0-9a-f]+)", text)
    return int(found[1], 16) if found else 0


def main(path: str) -> None:
    try:
        for line in where(Qmp(path, PATIENCE)):
            print(line, flush=True)
    except (OSError, QmpError) as error:
        print(f"QEMU does not say where the guest stands: {error}")


if __name__ == "__main__":
    main(sys.argv[1])
