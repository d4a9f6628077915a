# SPDX-License-Identifier: GPL-2.0-only
"""Runs a guest: the one way in for scripts/guest, the tests, the demo and the benchmarks."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from lab import cache, choice, frames, guest, project, shim
from lab.frames import Link
from lab.host import SCRIPTS, HardwareHost, Host, NestedHost
from lab.host_root import HOST_KERNEL
from lab.kernels import Kernel, kernel
from lab.mended_qemu import mended
from lab.options import Options
from lab.qemu import Qemu, qemu
from lab.result import HOST_PATIENCE, GuestResult, Record, judge

TICK = 0.25  # seconds between two ticks for a nested host
LAST_WORDS = 30.0  # seconds for the host to say where a guest stands whose time is up: 3 s on an idle machine
PROBE_PATIENCE = 30.0  # seconds for a guest on hardware KVM; below 2 s where it works


class Audience:
    """Who follows a run while it happens. This one does not; scripts/guest has one that does."""

    keys: int | None = None  # a descriptor to read what is typed at the interactive shell

    def step(self, what: str | None) -> None:
        """The step that begins now; None: the guest has the stage."""

    def tick(self) -> None:
        """Comes several times a second."""

    def hear(self, kind: bytes, data: bytes) -> None:
        """A frame of the guest's or of the host script's."""

    def note(self, text: str) -> None:
        """Something to know about the run."""


def run_guest(
    command: str | None = None, *, audience: Audience | None = None, **options: Any
) -> GuestResult:
    """Boot a guest, run COMMAND in it, and say what came of it. The options are those of lab.options.Options."""
    return run(Options(command=command, **options), audience or Audience())


def run(options: Options, audience: Audience) -> GuestResult:
    return _run(options, audience, choice.hardware(options, _probe))


def _probe() -> bool:
    """Does hardware KVM boot a guest?"""
    options = Options("true", kernel="6.1", load=False, timeout=PROBE_PATIENCE)
    return _run(options, Audience(), hardware=True).failure is None


def _run(options: Options, audience: Audience, hardware: bool) -> GuestResult:
    system, emulator = kernel(options.kernel), qemu(options.lab_qemu)
    folder = Path(tempfile.mkdtemp(prefix="kvmpv-guest-")).resolve()
    try:
        if hardware:
            host: Host = HardwareHost(folder)
        else:
            stable = options.clock != "unstable"
            below = kernel(options.host_kernel or HOST_KERNEL)
            lowest = mended(emulator)
            host = NestedHost(folder, below, lowest, options.mem, stable, options.host_qemu)
        session = _Session(options, audience, host, emulator, system, folder)
        return judge(options, session.record())
    finally:
        shutil.rmtree(folder)


class _Session:
    """The machine's side of one run."""

    def __init__(
        self,
        options: Options,
        audience: Audience,
        host: Host,
        emulator: Qemu,
        system: Kernel,
        folder: Path,
    ) -> None:
        self._options = options
        self._audience = audience
        self._host = host
        self._emulator = emulator
        self._kernel = system
        self._folder = folder
        self._record = Record()
        self._ready = False
        self._started = False
        self._next_tick = 0.0
        self._asked = False  # where the guest stands
        self._deadline: float | None = None  # of the host, then of the guest
        self._buffers = {
            frames.OUTPUT: self._record.output,
            frames.ERRORS: self._record.errors,
            frames.CONSOLE: self._record.console,
            frames.LOG: self._record.log,
            frames.BESIDE: self._record.beside,
        }

    def record(self) -> Record:
        self._audience.step("the KVM host starts")
        self._deadline = time.monotonic() + HOST_PATIENCE
        self._host.start()
        try:
            job = self._job()  # while the host boots
            if self._host.waits:
                self._give(job)
            while not self._record.end:
                self._wait(job)
        finally:
            self._audience.step(None)
            self._host.close()
        self._record.host = self._host.said()
        return self._record

    def _job(self) -> dict[str, Any]:
        options, host = self._options, self._host
        token = secrets.token_hex(16)
        initrd = self._folder / "guest.cpio"
        initrd.write_bytes(guest.initramfs(self._kernel, options, self._modules(), token))
        script = options.script()
        return {
            "token": token,
            "work": host.work,
            "qemu": guest.qemu(self._emulator, self._kernel, options, initrd, host.work),
            "wrap": host.wrap,
            "scripts": str(SCRIPTS),
            "now_ns": time.time_ns(),
            "exits": options.exits,
            "script": str(script) if script else None,
            "environment": {
                **host.environment,
                "KVMPV_CACHE": str(cache.folder()),
                "KVMPV_QMP": f"{host.work}/qmp",
                "KVMPV_GDB": f"{host.work}/gdb",
                **(shim.files(host.work) if options.shim is not None else {}),
                "PYTHONPATH": str(SCRIPTS),
            },
        }

    def _modules(self) -> list[Path]:
        """Where the module is not to be loaded it may fail to build, and then the guest has none."""
        if self._options.load:
            return project.modules(self._kernel)
        if project.build_folder(self._kernel) is None:
            return []
        try:
            return project.modules(self._kernel)
        except project.BuildError as error:
            self._audience.note(f"the guest has no module in /kvmpv: {error}")
            return []

    def _wait(self, job: dict[str, Any]) -> None:
        """Handle what happens next, or a moment without anything."""
        now = time.monotonic()
        if self._deadline is not None and now >= self._deadline:
            self._time_is_up()
            return
        if now >= self._next_tick and self._ready:
            self._next_tick = now + TICK
            # A host that hangs reads none. To wait until it does would be to forget the deadline.
            if select.select([], [self._host.link], [], 0)[1]:
                self._say(frames.TICK, b"")
        patience = TICK if self._deadline is None else min(TICK, self._deadline - now)
        keys = self._audience.keys
        sources: list[Link | int] = [self._host.link]
        if keys is not None:
            sources.append(keys)
        ready, _, _ = select.select(sources, [], [], patience)
        self._audience.tick()
        if keys is not None and keys in ready:
            self._say(frames.KEYS, os.read(keys, 4096))
        if self._host.link in ready:
            for kind, rest in self._host.link.receive():
                self._handle(kind, rest, job)
            if not self._host.link.open and not self._record.end:
                self._record.end = {"end": "host", **self._host.ended()}

    def _time_is_up(self) -> None:
        """The host is asked where the guest stands, once: it may be what hangs."""
        if not self._started or self._asked:
            self._record.end = {"end": "timeout" if self._started else "late"}
            return
        self._asked = True
        self._deadline = time.monotonic() + LAST_WORDS
        if select.select([], [self._host.link], [], 0)[1]:
            self._say(frames.WHERE, b"")

    def _give(self, job: dict[str, Any]) -> None:
        self._say(frames.JOB, json.dumps(job).encode())
        self._ready = self._host.needs_ticks

    def _say(self, kind: bytes, rest: bytes) -> None:
        """To the host. That it has gone is heard when the link is read next."""
        with contextlib.suppress(BrokenPipeError):
            self._host.link.send(kind, rest)

    def _handle(self, kind: bytes, rest: bytes, job: dict[str, Any]) -> None:
        if kind == frames.RESULT:
            if not self._asked:  # else it comes too late
                self._record.end = json.loads(rest)
        elif kind == frames.WHERE:
            self._record.end = {"end": "timeout", "where": rest.decode(errors="replace")}
        elif kind != frames.NOTE:
            if kind in self._buffers:
                self._buffers[kind] += rest
            self._audience.hear(kind, rest)
        elif rest == frames.READY:
            self._give(job)
        elif rest == frames.STARTED:
            self._started = True
            self._audience.step("the guest boots")
            timeout = self._options.timeout
            self._deadline = None if timeout is None else time.monotonic() + timeout
        elif rest == frames.BEGIN:
            self._audience.step(None)
