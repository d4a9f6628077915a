# SPDX-License-Identifier: GPL-2.0-only
"""The KVM host that a guest runs on: the machine itself, or a Linux with KVM inside an emulated machine.

The emulated CPU has AMD's virtualization, which QEMU's emulator implements, so the KVM in there is the real one. That Linux
is a stock Debian kernel, 6.1 unless another is asked for. Its root is the machine's own root, read-only, so it has the
machine's QEMU and Python.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from lab import LabError, frames, host_root, host_state
from lab.frames import Link
from lab.host_root import PYTHON
from lab.kernels import Kernel
from lab.packages import tool
from lab.progress import Progress
from lab.qemu import Qemu
from lab.result import HOST_PATIENCE
from lab.tsc import Tsc

SCRIPTS = Path(__file__).resolve().parents[1]

# Nobody uses this kernel as a guest, so it may be as quick as it can. pci=noearly: see KERNEL_PARAMETERS in guest.py.
# no_timer_check: on a busy machine a kernel may find too few interrupts in its first 40 ms, and panics.
PARAMETERS = (
    "console=ttyS0 panic=-1 loglevel=5 no_timer_check mitigations=off pci=noearly init_on_alloc=0"
    " cryptomgr.notests=1"
)
# The clocksource of the host is then tsc, which makes KVM tell its guests that their clock is stable; or hpet, which makes it
# not tell them so. A host with one CPU believes its TSC if nobody forbids it.
STABLE, UNSTABLE = "tsc=reliable", "tsc=unstable"

# Without cx16: QEMU 7.2 emulates cmpxchg16b with the flags of an earlier instruction, which leaves any bit of RFLAGS set,
# the trap and direction flags among them. About one guest in twenty crashed or hung at boot, because the kernel's slab
# allocator uses the instruction where it is offered.
CPU = "max,+svm,+npt,-cx16"


class Host(ABC):
    """A KVM host with lab/on_host.py on it: from start() on it waits for a job on the link; close() leaves nothing of it."""

    work: str  # the folder on the host that the guest's sockets are in
    environment: dict[str, str]  # of programs on the host
    wrap: list[str]  # what the guest's QEMU is started with
    needs_ticks = False
    waits = False  # for its job as soon as it is started, and does not say so
    PATIENCE = 15.0  # seconds for its program to end by itself

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._said = folder / "host.txt"

    def start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs, self._said.open("wb") as said:
            self._process = subprocess.Popen(
                self._command(theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C at the terminal is for us; we end it in order
            )
        self._socket = ours
        self.link = Link(ours.fileno())

    def said(self) -> str:
        """What it printed, for the case that it fails."""
        return self._said.read_text(encoding="utf-8", errors="replace")

    def ended(self) -> dict[str, object]:
        """How its program ended, once the link is closed; the status is None if it goes on without the link."""
        try:
            return {"status": self._process.wait(self.PATIENCE)}
        except subprocess.TimeoutExpired:
            return {"status": None}

    @abstractmethod
    def close(self) -> None:
        ...

    @abstractmethod
    def _command(self, link: int) -> list[str]:
        ...


class HardwareHost(Host):
    """The machine itself. On end-of-file on the link on_host.py ends everything that it has started."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.work = str(folder)
        self.environment = {**os.environ, "TMPDIR": self.work}
        self.wrap = [str(tool("setpriv")), "--pdeathsig", "KILL"]

    def _command(self, link: int) -> list[str]:
        begin = "import sys; sys.path.insert(0, sys.argv[1]); from lab.on_host import main; main(int(sys.argv[2]))"
        return [PYTHON, "-I", "-S", "-B", "-c", begin, str(SCRIPTS), str(link)]

    def close(self) -> None:
        self._socket.close()
        try:
            self._process.wait(self.PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class NestedHost(Host):
    """An emulated machine. Everything on it ends with its QEMU.

    It begins as a host that has booted and was saved then. With arguments of one's own for its QEMU it boots.
    """

    needs_ticks = True

    def __init__(
        self,
        folder: Path,
        system: Kernel,
        emulator: Qemu,
        guest_memory: int,
        stable: bool,
        arguments: Sequence[str],
    ) -> None:
        super().__init__(folder)
        self.work = "/dev/shm/kvmpv"
        self.environment = {"HOME": "/dev/shm", "TMPDIR": "/dev/shm", "LC_ALL": "C.UTF-8"}
        self.environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
        self.wrap = []
        self._emulator = emulator
        self._memory = max(4096, 2 * guest_memory + 2048)  # a guest that migrates exists twice
        self._parameters = f"{PARAMETERS} {STABLE if stable else UNSTABLE}"
        self._resets = folder / "resets.txt"
        self._image = host_root.image(system)
        self._initramfs = folder / "host.cpio"
        self._initramfs.write_bytes(host_root.initramfs(system, folder))
        self._arguments = list(arguments)
        if not arguments:
            self._arguments = host_state.arguments(host_state.saved(self._parts(), self._boot))
            self.waits = True

    def _machine(self) -> list[str]:
        """The emulated machine, which has to be the same when it goes on from a saved state."""
        machine = ["-name", "kvm-host", "-accel", "tcg,thread=multi", "-cpu", CPU]
        machine += ["-smp", str(_cpus(self._emulator)), "-m", str(self._memory)]
        machine += ["-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio"]
        # The smallest firmware that can start a kernel: a fifth of a second less than the usual one.
        machine += ["-bios", "qboot.rom", "-append", self._parameters]
        # The first virtio device, hence vport0.
        machine += ["-device", "virtio-serial-pci,max_ports=2"]
        machine += ["-device", "virtserialport,chardev=link,nr=1"]
        machine += ["-fsdev"]
        machine += ["local,id=machine,path=/,security_model=none,readonly=on,multidevs=remap"]
        return [*machine, "-device", "virtio-9p-pci,fsdev=machine,mount_tag=machine"]

    def _command(self, link: int) -> list[str]:
        # If we are killed, it ends too.
        command = [str(tool("setpriv")), "--pdeathsig", "KILL", *self._emulator.command()]
        command += ["-kernel", str(self._image), "-initrd", str(self._initramfs)]
        # A triple fault ends it with status 0 and without a word, as a kernel that restarts the machine does.
        command += ["-d", "cpu_reset", "-D", str(self._resets)]
        command += ["-chardev", f"socket,id=link,fd={link}"]
        return [*command, *self._machine(), *self._arguments]

    def _parts(self) -> list[bytes]:
        """All that the host's state after its boot depends on."""
        program = self._emulator.program.read_bytes()
        machine = "\0".join(self._machine()).encode()
        return [program, machine, os.fsencode(self._image), self._initramfs.read_bytes()]

    def _boot(self, state: Path) -> None:
        socket_path = self._folder / "boot.qmp"
        self._arguments = ["-qmp", f"unix:{socket_path},server=on,wait=off"]
        # The kernel would measure it within some milliseconds, and wrong where the machine is busy. Not in _machine(): a
        # measured number differs from run to run, and the host's clocks go on by what it was told when it booted.
        self._arguments += ["-append", f"{self._parameters} tsc_early_khz={Tsc().khz()}"]
        with Progress("the KVM host boots, once for all runs") as progress:
            self.start()
            try:
                self._await(frames.NOTE, progress)
                host_state.check_clocks(lambda: self._clocks(progress))
                host_state.save(socket_path, state)
            finally:
                self.close()

    def _clocks(self, progress: Progress) -> bytes:
        self.link.send(frames.CLOCKS, b"")
        return self._await(frames.CLOCKS, progress)

    def _await(self, kind: bytes, progress: Progress) -> bytes:
        """What the next frame of this kind says."""
        deadline = time.monotonic() + HOST_PATIENCE
        while self.link.open and time.monotonic() < deadline:
            progress.tick()
            ready, _, _ = select.select([self.link], [], [], 0.2)
            for heard, rest in self.link.receive() if ready else ():
                if heard == kind:
                    return rest
        sys.stderr.write("".join(f"  | {line}\n" for line in self.said().splitlines()[-40:]))
        how = f"ended by itself: {self.ended()}" if not self.link.open else "did not come up"
        raise LabError(f"the KVM host {how}; the end of its output is above")

    def ended(self) -> dict[str, object]:
        end = super().ended()
        resets = self._resets.read_text(encoding="utf-8") if self._resets.exists() else ""
        return {**end, "triple_fault": "Triple fault" in resets}

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._socket.close()


def _cpus(emulator: Qemu) -> int:
    """One CPU for an emulated host, unless QEMU is new enough for more.

    Before 8.1 ("accel/tcg: Always lock pages before translation") a CPU that translates code while another one writes to it
    could keep the old instruction for ever. Linux patches its code all the time: static keys, static calls, tracepoints. A
    loop that switches tracepoints stalled within a minute on 7.2; about one guest in twenty hung, or met an int3 that was gone.
    A guest's boot takes as long on one CPU.
    """
    return 2 if emulator.version >= (8, 1) else 1
