# SPDX-License-Identifier: GPL-2.0-only
"""A dialogue: one program, on the KVM host, that disturbs the guest and says what has to be seen in it.

The guest's part is tests/guest/agent.sh, a shell that has read tests/guest/lib.sh and runs one line after another. The
results are KTAP, printed at the end: a dialogue that stops early has no plan, and fails. It stops at once, and says during
which line, if the agent ends or starts anew without having been told to.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from lab.beside import Guest, wait_for_growth

DEBUG = "/sys/kernel/debug/kvmpv"
STATE = re.compile(rb"\nagent: (ready|\d+)\n")


class Failed(Exception):
    """A check that did not hold, in words."""


def equal(what: str, actual: object, expected: object) -> None:
    if actual != expected:
        raise Failed(f"{what} is {actual!r}, not {expected!r}")


def within(what: str, actual: float, least: float, most: float) -> None:
    if not least <= actual <= most:
        raise Failed(f"{what} is {actual}, not {least} to {most}")


def contains(text: str, pattern: str) -> None:
    if not re.search(pattern, text, re.MULTILINE):
        raise Failed(f"no {pattern!r} in: {text}")


@dataclass(frozen=True)
class Table:
    """A file of kvmpv's: what stands above the header row, and the rows."""

    head: list[str]
    lines: list[dict[str, str]]
    rows: dict[str, dict[str, str]]  # the same by their first word

    @staticmethod
    def parse(text: str, head: int = 1) -> Table:
        lines = text.splitlines()
        names = lines[head].split()
        cells = [line.split() for line in lines[head + 1 :] if line]
        rows = [dict(zip(names, row, strict=False)) for row in cells]
        return Table(lines[:head], rows, {row[names[0]]: row for row in rows})

    def number(self, row: str | int, name: str) -> int:
        return int(self.rows[str(row)][name], 0)

    def column(self, name: str) -> list[str]:
        return [row[name] for row in self.lines]


class Talk:
    def __init__(self) -> None:
        self.beside = Guest()
        self._output = open(os.environ["KVMPV_OUTPUT"], "rb")
        self._heard = b""
        self._results: list[str] = []
        self._count = 0
        self._subtests: list[str] = []
        self._failed = False
        self._subtest_count = 0
        self._line = "its start"
        # When COMMAND or the guest has ended scripts/guest ends this program, whatever it waits for.
        signal.signal(signal.SIGTERM, lambda *_: self._die())
        self._hear()
        # shared, or owned (nopv)
        self.mode = self.ask("echo $MODE")

    # ---- What the guest is told

    def begin(self, line: str) -> None:
        """The line must not end before end() asks for it: something happens to the guest meanwhile."""
        assert "\n" not in line
        self._line = line
        self.beside.say(line)

    def end(self) -> tuple[int, str]:
        said, state = self._hear()
        if state == b"ready":
            raise SystemExit(f"the guest has restarted, during: {self._line}")
        return int(state), said.decode(errors="replace").rstrip("\n")

    def run(self, line: str) -> tuple[int, str]:
        """A line of shell; its exit status and what it has printed."""
        self.begin(line)
        return self.end()

    def ask(self, line: str) -> str:
        """What the line prints. It has to succeed."""
        status, said = self.run(line)
        if status:
            raise Failed(f"{line}: exit status {status}\n{said}")
        return said

    def number(self, line: str) -> int:
        return int(self.ask(line), 0)

    def fails_with(self, pattern: str, line: str) -> None:
        status, said = self.run(f"({line})")
        if not status:
            raise Failed(f"'{line}' succeeded")
        contains(said, pattern)

    def restart(self, line: str) -> None:
        """The line has the guest start another kernel, in which the agent begins anew."""
        self.begin(line)
        said, state = self._hear()
        if state != b"ready":
            raise Failed(f"{line}: exit status {int(state)}\n{said.decode(errors='replace')}")

    def _hear(self) -> tuple[bytes, bytes]:
        while True:
            self._heard += self._output.read()
            found = STATE.search(self._heard)
            if found:
                said = self._heard[: found.start()]
                self._heard = self._heard[found.end() :]
                return said, found[1]
            wait_for_growth()

    def _die(self) -> None:
        # Not by print(), which a signal may have interrupted.
        os.write(1, f"the guest's shell has ended, during: {self._line}\n".encode())
        # By the signal: with an exit status scripts/guest would name this program as what has failed.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)

    # ---- What happens to it

    def stop(self, seconds: float) -> tuple[int, int]:
        """Stops it for that long. The least and the greatest possible length of the pause, in ns."""
        longest = time.monotonic_ns()
        self.beside.qmp.command("stop")
        shortest = time.monotonic_ns()
        time.sleep(seconds)
        shortest = time.monotonic_ns() - shortest
        self.beside.qmp.command("cont")
        return shortest, time.monotonic_ns() - longest

    def let_reboot(self) -> int:
        """From now on it may reset itself, which usually ends QEMU. How often it has since the last call."""
        self.beside.qmp.command("set-action", reboot="reset")
        return len(self.beside.qmp.taken("RESET", lambda event: event["data"]["guest"] is True))

    # ---- What kvmpv shows there

    def table(self, file: str, head: int = 1) -> Table:
        return Table.parse(self.ask(f"cat {DEBUG}/{file}"), head)

    def state(self, name: str) -> str:
        return self.table("clock/state").rows[name]["value"]

    def count(self, name: str) -> int:
        return int(self.state(name))

    def last_value(self, event: str) -> int:
        """The value of the last event of that kind."""
        values = [
            int(row["value"])
            for row in self.table("events", head=2).rows.values()
            if row["event"] == event
        ]
        if not values:
            raise Failed(f"no event {event}")
        return values[-1]

    # ---- Results

    def check(self, what: Callable[..., None] | str, *arguments: object, name: str = "") -> None:
        """A function of the dialogue, or a line of shell, which has to succeed. A function of lib.sh names itself, too."""
        self._count += 1
        case = name or (what if isinstance(what, str) else what.__name__)
        assert case.isidentifier(), "a name for it"
        try:
            if isinstance(what, str):
                self.ask(what)
            else:
                what(*arguments)
        except Failed as failed:
            self._results += [f"# {line}" for line in str(failed).splitlines()]
            self._results.append(f"not ok {self._count} {case}")
            self._failed = True
        else:
            self._results.append(f"ok {self._count} {case}")

    def report(self, text: str) -> None:
        """A line that is shown with the results, passed or not."""
        self._results.append(f"# {text}")

    def load(self, feature: str, parameters: str = "") -> None:
        """As `begin` of lib.sh."""
        self.ask("remember")
        self.check(f"load {parameters}", name="loads")
        self.check(lambda: equal("mode", self.ask(f"mode {feature}"), self.mode), name="mode")

    def unload(self, undone: str = "undone") -> None:
        """As `end` of lib.sh."""
        self.check("unload", name="unloads")
        self.check(undone, name="everything_is_undone")
        self.finish()

    def _ktap(self) -> list[str]:
        return ["KTAP version 1", f"1..{self._count}", *self._results]

    def subtest(self, name: str) -> None:
        """The checks since the last one are a list of their own."""
        self._subtest_count += 1
        self._subtests += [f"  {line}" for line in self._ktap()]
        self._subtests.append(f"{'not ok' if self._failed else 'ok'} {self._subtest_count} {name}")
        self._results, self._count, self._failed = [], 0, False

    def finish(self) -> None:
        if self._subtests:
            assert not self._count, "a check outside of any subtest"
            self._results, self._count = self._subtests, self._subtest_count
        print("\n".join(self._ktap()), flush=True)
        # The guest ends, and this program before it or with it.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self.begin("exit 0")
