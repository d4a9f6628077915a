# SPDX-License-Identifier: GPL-2.0-only
"""The guest is asked how many disruptions there were as soon as it runs again (tests/guest/clock/at_once.c): the question
is in its memory before its first instruction.
"""

from __future__ import annotations

import struct
import time

from records import GuestMemory
from talk import DEBUG, Failed, Talk, equal, within

TRACE = "/sys/kernel/tracing/instances/at_once"
# asked, answered, disruptions
ASKED, REST, REST_AT = "I", "IQ", 4
# For an answer, in seconds. It takes microseconds, but the guest's vCPUs may have to wait for the host's CPUs.
PATIENCE = 60
# A stop takes what two commands take, some milliseconds. Whatever its length it is a disruption.
STOPS = 50
# The module looks early 4 times a second in the long run, and a stop may change a record twice.
PAUSE = 0.5


class AtOnce:
    """While this lives the guest's CPU 1 is busy with the program. `how`: read or wait."""

    def __init__(self, talk: Talk, how: str) -> None:
        self._talk = talk
        self._asked = 0
        self._memories: dict[int, GuestMemory] = {}
        address = talk.ask(
            f"rm -f /tmp/at_once; mkfifo /tmp/at_once; /tests/at_once {how} > /tmp/at_once &"
            " at_once=$!; read -r address < /tmp/at_once; echo $address"
        )
        self._address = int(address, 16)

    def end(self) -> None:
        self._talk.ask("kill $at_once; ! wait $at_once")

    def _memory(self, qemu: int) -> GuestMemory:
        if qemu not in self._memories:
            self._memories[qemu] = GuestMemory(qemu)
        return self._memories[qemu]

    def ask(self, qemu: int) -> None:
        """`qemu`: the process that has the guest's memory now."""
        self._asked += 1
        self._memory(qemu).write(self._address, struct.pack(ASKED, self._asked))

    def answer(self) -> int:
        """The number of disruptions."""
        memory = self._memory(self._talk.beside.pid)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            data = memory.read(self._address + REST_AT, struct.calcsize("=" + REST))
            answered, disruptions = struct.unpack("=" + REST, data)
            if answered == self._asked:
                return int(disruptions)
            # The guest cannot tell the host without an exit, which would be a tick's chance.
            time.sleep(0.001)
        raise Failed(f"no answer to question {self._asked}")

    def count(self) -> int:
        self.ask(self._talk.beside.pid)
        return self.answer()

    def stop(self) -> None:
        qmp = self._talk.beside.qmp
        qmp.command("stop")
        self.ask(self._talk.beside.pid)
        qmp.command("cont")


def is_told_by_a_read(talk: Talk) -> None:
    """Nothing but the read looks: the tick does not, and the sampler comes once a second."""
    talk.ask(f"echo 0 > {DEBUG}/steal/hook")
    reader = AtOnce(talk, "read")
    told = 0
    for _ in range(STOPS):
        before = reader.count()
        reader.stop()
        told += reader.answer() > before
    reader.end()
    talk.ask(f"echo 1 > {DEBUG}/steal/hook")
    talk.report(f"{told} of {STOPS} stops were told by a read at once")
    equal("told at once", told, STOPS)


def is_told_by_poll(talk: Talk) -> None:
    """Within two ticks of the CPU that the waiter shares with a busy thread, counted until the waiter is woken. How long it
    then takes until it runs depends on how busy the host is. More stops in a row than the module looks for would have to
    wait for the sampler.
    """
    talk.ask(f"mkdir {TRACE} && echo 1 > {TRACE}/events/irq_vectors/local_timer_entry/enable")
    waiter = AtOnce(talk, "wait")
    talk.ask(
        f"cd {TRACE}/events/sched/sched_waking && echo pid == $at_once > filter && echo 1 > enable; cd - > /dev/null"
    )
    for _ in range(STOPS):
        waiter.stop()
        waiter.answer()
        time.sleep(PAUSE)
    waiter.end()
    # The question may be noted after the waiter was woken.
    said = talk.ask(
        "awk 'BEGIN { ticks = 0 } / asked / { asked = ticks } /[[]001[]].* local_timer_entry: / { ticks++ }"
        " / sched_waking: / { waking = ticks }"
        ' / woken / { print (waking == "" ? -1 : waking > asked ? waking - asked : 0); waking = "" }\''
        f" {TRACE}/trace && rmdir {TRACE}"
    )
    ticks = [int(word) for word in said.split()]
    ticked = {count: ticks.count(count) for count in sorted(set(ticks))}
    talk.report(f"ticks from the first instruction until the waiter was woken: {ticked}")
    equal("woken", len(ticks), STOPS)
    within("ticks", max(ticks), 0, 2)
