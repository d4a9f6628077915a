# SPDX-License-Identifier: GPL-2.0-only
"""The emulated KVM host as it is right after its boot, kept in the cache: each run begins there instead of booting it anew.

It is what QEMU writes when a machine migrates. A boot takes ten times as long as reading it.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path

from lab import LabError, cache
from lab.qmp import Qmp, QmpError

# The emulated TSC is the machine's own, and its rate is measured at boot.
BOOT = Path("/proc/sys/kernel/random/boot_id")
KEPT = 6  # each is 200 to 300 MB; a stable host and an unstable one, of the sources as they are and as they were


def saved(parts: Iterable[bytes], boot: Callable[[Path], None]) -> Path:
    """The file of the host that these parts describe. `boot` starts one, waits until it is up, and saves it to a file."""
    content = hashlib.sha256(BOOT.read_bytes())
    for part in parts:
        content.update(hashlib.sha256(part).digest())
    name = f"host-{content.hexdigest()[:12]}"

    def make(into: Path) -> None:
        boot(into / "state")
        (into / "release").write_text("booted\n", encoding="utf-8")
        (into / "version").write_text("the emulated host\n", encoding="utf-8")
        _forget(KEPT - 1)

    entry = cache.entry(name, make)
    os.utime(entry)  # those that are in use are the newest
    return entry / "state"


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
