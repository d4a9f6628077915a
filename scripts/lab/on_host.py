# SPDX-License-Identifier: GPL-2.0-only
"""What runs on the KVM host: starts the guest's QEMU, carries its channels to the machine, and minds the host script.

It is one program for both kinds of host, and is told everything in its first frame. A nested host takes a tenth of a second
for most imports, and the guest waits for them: hence no more than these.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable

from lab import channels, frames
from lab.exit_counter import ExitCounter
from lab.frames import Link
from lab.host_script import GRACE, HostScript
from lab.switchboard import Switchboard
from lab.tail import Tail
from lab.vcpus import vcpu_threads

TYPE_CHECKING = False  # typing itself would be the slowest import
if TYPE_CHECKING:
    from types import FrameType, ModuleType
    from typing import Any, NoReturn

# What of the guest goes to the machine as it is.
FORWARDED = {
    channels.CONSOLE: frames.CONSOLE,
    channels.TERMINAL: frames.TERMINAL,
    "output": frames.OUTPUT,
    "errors": frames.ERRORS,
    "log": frames.LOG,
}
TOKEN_ENDED = ("output", "errors", "log")
KEPT = (channels.CONSOLE, "output")  # also written to a file, for the host script


class Gone(Exception):
    """The machine has closed its end of the link."""


class Run:
    """One guest, from its start to the result."""

    def __init__(self, link: Link, job: dict[str, Any]) -> None:
        self._link = link
        self._job = job
        self._work: str = job["work"]
        self._selector = selectors.DefaultSelector()
        names = (channels.CONSOLE, channels.TERMINAL, *channels.PORTS)
        self._guest = Switchboard(self._work, names, self._selector, self._hear)
        self._tails = {name: Tail(job["token"].encode()) for name in TOKEN_ENDED}
        # Files cannot be waited for, so a byte comes here each time that one of them has grown.
        self._grown, self._grows = os.pipe2(os.O_NONBLOCK)
        self._files = {name: open(self._kept(name), "wb", buffering=0) for name in KEPT}
        self._control = b""
        self._verdict: dict[str, Any] = {}  # how the run ended, once that is known
        self._begun = False
        self._script: HostScript | None = None
        self._counter: ExitCounter | None = None
        self._watch(link, self._from_machine)

    def run(self) -> dict[str, Any]:
        """The result: how it ended, and what was measured."""
        said = open(f"{self._work}/qemu.txt", "w+b")
        self._qemu = subprocess.Popen(
            self._job["wrap"] + self._job["qemu"],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        self._qemu_end = os.pidfd_open(self._qemu.pid)
        self._watch(self._qemu_end, lambda: self._selector.unregister(self._qemu_end))
        self._link.send(frames.NOTE, frames.STARTED)
        try:
            while not self._over():
                self._wait(None)
            result = self._verdict | self._end_script()
            self._qemu.kill()
            self._qemu.wait()
            said.seek(0)
            result["qemu"] = said.read().decode(errors="replace")
            if self._counter is not None:
                result |= {"exits": self._counter.read(), "threads": self._threads}
            return result
        finally:
            self._qemu.kill()
            self._qemu.wait()
            if self._script is not None:
                self._script.kill()
            if self._counter is not None:
                self._counter.close()

    # ---- Waiting

    def _watch(self, what: Link | int, act: Callable[[], object]) -> None:
        self._selector.register(what, selectors.EVENT_READ, act)

    def _wait(self, patience: float | None) -> bool:
        """Handle what there is to handle; false if there was nothing."""
        ready = self._selector.select(patience)
        for key, _ in ready:
            key.data()
        return bool(ready)

    def _over(self) -> bool:
        if self._verdict and all(tail.complete for tail in self._tails.values()):
            return True
        if self._script is not None and not self._script.running() and self._script.status():
            self._verdict = {"end": "script"}
            return True
        # A second QEMU may have taken the guest over: then its connections are still there.
        if self._qemu.poll() is None or self._guest.connected() or self._wait(0):
            return False
        self._verdict = {"end": "died", "status": self._qemu.returncode}
        return True

    def _end_script(self) -> dict[str, Any]:
        """The script ends before QEMU does, so that its last look at the guest finds one."""
        script = self._script
        if script is None:
            return {}
        if script.running():
            script.tell_to_end()
        deadline = time.monotonic() + GRACE
        while script.running() and time.monotonic() < deadline:
            self._wait(deadline - time.monotonic())
        in_time = not script.running()
        script.kill()
        while self._script_prints():
            pass
        return {
            "script": {"status": script.status(), "told": script.told_to_end, "in_time": in_time}
        }

    # ---- What others say

    def _from_machine(self) -> None:
        for kind, rest in self._link.receive():
            if kind == frames.KEYS:
                self._guest.say(channels.TERMINAL, rest)
            elif kind == frames.TICK:
                _visit_all_cpus()
            elif kind == frames.WHERE:
                self._link.send(frames.WHERE, self._where())
        if not self._link.open:
            raise Gone

    def _where(self) -> bytes:
        """By a program of its own: every guest would wait for its imports, and few need it."""
        done = subprocess.run(
            ["python3", "-B", "-m", "lab.standstill", f"{self._work}/lab"],
            env=self._job["environment"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.stdout

    def _hear(self, name: str, data: bytes) -> None:
        if name == "control":
            self._control += data
            *lines, self._control = self._control.split(b"\n")
            for line in lines:
                self._obey(line.decode().split())
            return
        if name in self._tails:
            data = self._tails[name].feed(data)
        if name in self._files:
            self._files[name].write(data)
            self._tell_growth()
        if name in FORWARDED and data:
            self._link.send(FORWARDED[name], data)

    def _obey(self, words: list[str]) -> None:
        """guest_init.sh says: ready, or how it ended and an exit status. A guest that restarts is ready once more."""
        if words == ["ready"]:
            if not self._begun:
                self._begin()
            self._begun = True
            self._guest.say("control", b"go\n")
        else:
            self._verdict = {"end": words[0], "status": int(words[1])}

    def _tell_growth(self) -> None:
        try:
            os.write(self._grows, b"+")
        except BlockingIOError:
            pass  # nobody has read for long; who reads now is not kept waiting

    def _script_prints(self) -> bool:
        assert self._script is not None
        data = os.read(self._script.output, 1 << 16)
        if data:
            self._link.send(frames.BESIDE, data)
        elif self._script.output in self._selector.get_map():
            self._selector.unregister(self._script.output)
        return bool(data)

    # ---- COMMAND begins

    def _begin(self) -> None:
        self._threads = vcpu_threads(self._qemu.pid)
        if self._job["exits"]:
            self._counter = ExitCounter(self._threads)
        if self._job["script"]:
            self._start_script()
        self._link.send(frames.NOTE, frames.BEGIN)

    def _start_script(self) -> None:
        word = f"{self._work}/say"
        os.mkfifo(word)
        # For writing too: otherwise it ends as soon as the script has said one thing.
        heard = os.open(word, os.O_RDWR)
        self._watch(heard, lambda: self._guest.say("word", os.read(heard, 4096)))
        script = HostScript(
            self._job["script"],
            {
                **self._job["environment"],
                "KVMPV_VCPU_TIDS": " ".join(map(str, self._threads)),
                "KVMPV_QEMU_PID": str(self._qemu.pid),
                "KVMPV_CONSOLE": self._kept(channels.CONSOLE),
                "KVMPV_OUTPUT": self._kept("output"),
                "KVMPV_GROWN": str(self._grown),
                "KVMPV_SAY": word,
                "KVMPV_RUN_DIR": self._work,
                "KVMPV_ARGS": json.dumps(self._job["qemu"]),
            },
            self._grown,
        )
        self._script = script
        self._watch(script.output, self._script_prints)
        self._watch(script.end, lambda: self._selector.unregister(script.end))

    def _kept(self, name: str) -> str:
        return f"{self._work}/{name}.txt"


def _visit_all_cpus() -> None:
    """Interrupt every CPU of an emulated host.

    QEMU's emulator clears a bit of a CPU's pending requests at each exit of a guest, without the lock under which its other
    threads set them (helper_vmrun, do_vmexit), so once in some hundred thousand exits the note that an interrupt has come
    gets lost. The interrupt itself stays in the local APIC, and the next one brings it along; but if it was the timer of a
    CPU that then sleeps, nothing comes next, ever. This program moving there is an interrupt.
    """
    everywhere = os.sched_getaffinity(0)
    for cpu in everywhere:
        os.sched_setaffinity(0, {cpu})
    os.sched_setaffinity(0, everywhere)


def _result(link: Link, job: dict[str, Any]) -> dict[str, Any]:
    """A fault of the lab itself is a result, too. On an emulated host this is the first process: were it to end by an exception,
    that kernel's panic would be all that is seen.
    """
    try:
        return Run(link, job).run()
    except (Gone, BrokenPipeError):
        raise
    except Exception:
        import traceback

        return {"end": "broken", "said": traceback.format_exc()}


def main(descriptor: int, nested: ModuleType | None = None) -> None:
    """`nested` is lab.nested on an emulated host."""

    def unwind(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, unwind)
    link = Link(descriptor)
    link.send(frames.NOTE, frames.READY)
    frame = None
    while frame is None and link.open:
        frame = next(link.receive(), None)
        if frame is not None and frame[0] == frames.CLOCKS and nested is not None:
            link.send(frames.CLOCKS, nested.clocks())
            frame = None
    if frame is None:
        return
    job = json.loads(frame[1])
    if nested is not None:
        nested.enter(job)
    os.makedirs(job["work"], exist_ok=True)
    try:
        link.send(frames.RESULT, json.dumps(_result(link, job)).encode())
        while link.open:  # the machine closes it when it has read everything
            for _ in link.receive():
                pass
    except (Gone, BrokenPipeError):
        pass  # everything is cleaned up, and nobody is left to tell
