# SPDX-License-Identifier: GPL-2.0-only
"""The emulated KVM host as it is right after its boot, kept in the cache: each run begins there instead of booting it anew.

It is what QEMU writes when a machine migrates. A boot takes ten times as long as reading it.

A kernel that counts its TSC wrong has wrong clocks, and so have its guests. So what is kept has been held against the machine's
clock, and a host that fails this boots again.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lab import LabError, cache
from lab.qmp import Qmp, QmpError

# The emulated TSC is the machine's own, and its rate is measured at boot.
BOOT = Path("/proc/sys/kernel/random/boot_id")
ASKED = 20  # times for one answer
WATCHED = 2.0  # seconds
TOLERANCE = 1e-3  # a kernel that measures its TSC right is right to some parts in a million
BOOTS = 3  # at most, until the clocks are right
# Each is 200 to 300 MB. A stable host, an unstable one and one of each other kernel, of the sources as they are and as they were.
KEPT = 8


class WrongClock(LabError):
    """The host that has booted is not one to keep."""


def saved(parts: Iterable[bytes], boot: Callable[[Path], None]) -> Path:
    """The file of the host that these parts describe. `boot` starts one, waits until it is up, and saves it to a file."""
    content = hashlib.sha256(BOOT.read_bytes())
    for part in parts:
        content.update(hashlib.sha256(part).digest())
    name = f"host-{content.hexdigest()[:12]}"

    def make(into: Path) -> None:
        _boot(lambda: boot(into / "state"))
        (into / "release").write_text("booted\n", encoding="utf-8")
        (into / "version").write_text("the emulated host\n", encoding="utf-8")
        _forget(KEPT - 1)

    entry = cache.entry(name, make)
    os.utime(entry)  # those that are in use are the newest
    return entry / "state"


def _boot(boot: Callable[[], None]) -> None:
    """Boot until the clocks are right, and at most BOOTS times."""
    for left in reversed(range(BOOTS)):
        try:
            return boot()
        except WrongClock as error:
            if not left:
                raise
            print(f"{error}; it boots again", file=sys.stderr)


@dataclass(frozen=True)
class Clocks:
    """What an emulated host says of its time, and between which two moments of the machine's own it did."""

    after_ns: int
    monotonic_ns: int
    tsc: int
    tsc_khz: int
    before_ns: int

    @classmethod
    def ask(cls, host: Callable[[], bytes]) -> Clocks:
        """The answer that took the shortest time, of several."""

        def one() -> Clocks:
            after_ns = time.monotonic_ns()
            monotonic_ns, tsc, tsc_khz = map(int, host().split())
            return cls(after_ns, monotonic_ns, tsc, tsc_khz, time.monotonic_ns())

        return min(
            (one() for _ in range(ASKED)), key=lambda answer: answer.before_ns - answer.after_ns
        )


def check_clocks(host: Callable[[], bytes]) -> None:
    """An error if a clock of this host is wrong. `host` asks it for nested.clocks()."""
    begin = Clocks.ask(host)
    time.sleep(WATCHED)  # a rate is a difference between two moments
    end = Clocks.ask(host)
    wrong = wrong_clock(begin, end)
    if wrong is not None:
        raise WrongClock(f"a clock of the emulated host is wrong: {wrong}")


def wrong_clock(begin: Clocks, end: Clocks) -> str | None:
    """What a host's clock says between two moments lies between what the machine's says at least and at most."""
    least_ns, most_ns = end.after_ns - begin.before_ns, end.before_ns - begin.after_ns
    monotonic_ns = end.monotonic_ns - begin.monotonic_ns
    by_tsc_ns = (end.tsc - begin.tsc) * 1_000_000 // end.tsc_khz
    for name, ns in ("CLOCK_MONOTONIC", monotonic_ns), (f"a TSC of {end.tsc_khz} kHz", by_tsc_ns):
        if not least_ns * (1 - TOLERANCE) <= ns <= most_ns * (1 + TOLERANCE):
            return f"by {name} {ns / 1e9:.3f} s passed in {least_ns / 1e9:.3f} to {most_ns / 1e9:.3f} s"
    return None


def arguments(state: Path) -> list[str]:
    """What QEMU is started with to go on from there."""
    return ["-incoming", f"exec:exec cat {shlex.quote(str(state))}"]


def save(socket: Path, state: Path) -> None:
    """Write the machine that this QMP socket controls to a file, as one that runs. It stops then, and cannot go on."""
    try:
        qmp = Qmp(str(socket))
        events = {"capability": "events", "state": True}
        qmp.command("migrate-set-capabilities", capabilities=[events])
        qmp.command("migrate-set-parameters", max_bandwidth=1 << 40)
        qmp.command("migrate", uri=f"exec:exec cat > {shlex.quote(str(state))}")
        end = qmp.wait(
            "MIGRATION", lambda event: event["data"]["status"] in ("completed", "failed")
        )
        qmp.close()
    except (OSError, QmpError) as error:
        raise LabError(f"cannot save the emulated host: {error}") from error
    if end["data"]["status"] != "completed":
        raise LabError(f"cannot save the emulated host to {state}: is the disk full?")


def _forget(kept: int) -> None:
    """Forget all but those that were used last."""
    states = [entry for entry in cache.entries() if entry.name.startswith("host-")]
    for entry in states[: max(0, len(states) - kept)]:
        cache.drop(entry.name)
