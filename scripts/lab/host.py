# SPDX-License-Identifier: GPL-2.0-only
"""The KVM host that a guest runs on: the machine itself, or a Linux with KVM inside an emulated machine.

The emulated CPU has AMD's virtualization, which QEMU's emulator implements, so the KVM in there is the real one. That Linux
is a stock Debian kernel; its root is the machine's own root, read-only, so it has the machine's QEMU and Python.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from lab import bzimage, cache
from lab.frames import Link
from lab.initramfs import Archive
from lab.kernels import Kernel, kernel, modprobe_order
from lab.packages import tool
from lab.qemu import Qemu

SCRIPTS = Path(__file__).resolve().parents[1]
HOST_KERNEL = "6.1"
PYTHON = (
    "/usr/bin/python3"  # Debian's: the nested host has no environment in which to look for another
)

# Nobody uses this kernel as a guest, so it may be as quick as it can. pci=noearly: see KERNEL_PARAMETERS in guest.py.
# no_timer_check: on a busy machine a kernel may find too few interrupts in its first 40 ms, and panics.
PARAMETERS = (
    "console=ttyS0 panic=-1 loglevel=5 no_timer_check mitigations=off pci=noearly init_on_alloc=0"
    " cryptomgr.notests=1"
)
# The clocksource of the host is then tsc, which makes KVM tell its guests that their clock is stable; or hpet, which makes it
# not tell them so. A host with one CPU believes its TSC if nobody forbids it.
STABLE, UNSTABLE = "tsc=reliable", "tsc=unstable"

FSTAB = """\
proc /proc proc
sysfs /sys sysfs
devtmpfs /dev devtmpfs
debugfs /sys/kernel/debug debugfs
tracefs /sys/kernel/tracing tracefs
"""


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
    PATIENCE = 15.0  # seconds for its program to end by itself
    gate: str | None  # a pipe on the host to read from before the guest's QEMU can start

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
        self.gate = None

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
    """An emulated machine. Everything on it ends with its QEMU."""

    needs_ticks = True

    def __init__(
        self,
        folder: Path,
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
        self.gate = "/dev/kvm-ready"
        self._emulator = emulator
        self._arguments = arguments
        self._memory = max(4096, 2 * guest_memory + 2048)  # a guest that migrates exists twice
        self._parameters = f"{PARAMETERS} {STABLE if stable else UNSTABLE}"
        self._kernel = kernel(HOST_KERNEL)
        self._resets = folder / "resets.txt"
        (folder / "host.cpio").write_bytes(_initramfs(self._kernel, folder))

    def _command(self, link: int) -> list[str]:
        # If we are killed, it ends too.
        command = [str(tool("setpriv")), "--pdeathsig", "KILL", *self._emulator.command()]
        command += ["-name", "kvm-host", "-accel", "tcg,thread=multi", "-cpu", CPU]
        command += [
            "-smp",
            str(_cpus(self._emulator)),
            "-m",
            str(self._memory),
            "-nodefaults",
            "-nographic",
            "-no-reboot",
        ]
        # The smallest firmware that can start a kernel: a fifth of a second less than the usual one.
        command += ["-bios", "qboot.rom", "-kernel", str(_unpacked(self._kernel))]
        command += ["-initrd", str(self._folder / "host.cpio"), "-append", self._parameters]
        command += ["-serial", "stdio"]
        # A triple fault ends it with status 0 and without a word, as a kernel that restarts the machine does.
        command += ["-d", "cpu_reset", "-D", str(self._resets)]
        # The first virtio device, hence vport0.
        command += ["-chardev", f"socket,id=link,fd={link}"]
        command += ["-device", "virtio-serial-pci,max_ports=2"]
        command += ["-device", "virtserialport,chardev=link,nr=1"]
        command += [
            "-fsdev",
            "local,id=machine,path=/,security_model=none,readonly=on,multidevs=remap",
        ]
        command += ["-device", "virtio-9p-pci,fsdev=machine,mount_tag=machine"]
        return [*command, *self._arguments]

    def ended(self) -> dict[str, object]:
        end = super().ended()
        resets = self._resets.read_text(encoding="utf-8") if self._resets.exists() else ""
        return {**end, "triple_fault": "Triple fault" in resets}

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._socket.close()


def _initramfs(host: Kernel, folder: Path) -> bytes:
    archive = Archive()
    archive.busybox()
    archive.character_device("/dev/console", 5, 1)
    for empty in ("/proc", "/sys", "/root"):
        archive.folder(empty)
    archive.data("/etc/fstab", FSTAB.encode())
    archive.data("/init", (SCRIPTS / "lab/host_init.sh").read_bytes(), executable=True)
    _add_python(archive, folder)
    archive.data("/job", f"scripts={shlex.quote(str(SCRIPTS))}\n".encode())
    link = modprobe_order(host, "virtio_pci", "virtio_console", "9pnet_virtio", "9p")
    everything = modprobe_order(host, *(file.name.split(".")[0] for file in link), "kvm-amd")
    for place, modules in (("link", link), ("kvm", [m for m in everything if m not in link])):
        for number, module in enumerate(modules):
            archive.file(module, f"/modules/{place}/{number:02}-{module.name.removesuffix('.xz')}")
    return archive.image()


def _add_python(archive: Archive, folder: Path) -> None:
    """What on_host.py needs: the same files are below /root too, but from there it takes a second longer."""
    archive.file(Path(PYTHON), PYTHON)
    library = folder / "python"
    pack = SCRIPTS / "lab/pack_python.py"
    subprocess.run([PYTHON, "-I", "-S", "-B", pack, SCRIPTS, library], check=True)
    archive.tree(library, "/")


def _cpus(emulator: Qemu) -> int:
    """One CPU for an emulated host, unless QEMU is new enough for more.

    Before 8.1 ("accel/tcg: Always lock pages before translation") a CPU that translates code while another one writes to it
    could keep the old instruction for ever. Linux patches its code all the time: static keys, static calls, tracepoints. A
    loop that switches tracepoints stalled within a minute on 7.2; about one guest in twenty hung, or met an int3 that was gone.
    A guest's boot takes as long on one CPU.
    """
    return 2 if emulator.version >= (8, 1) else 1


def _unpacked(host: Kernel) -> Path:
    """The host's kernel without its compression, kept in the cache: 60 MB that save 3 s in every run."""
    content = hashlib.sha256(host.image.read_bytes()).hexdigest()[:12]

    def make(into: Path) -> None:
        (into / "vmlinux").write_bytes(bzimage.vmlinux(host.image))
        (into / "release").write_text(f"{host.release}\n", encoding="utf-8")
        (into / "version").write_text("unpacked for the nested host\n", encoding="utf-8")

    return cache.entry(f"vmlinux-{content}", make) / "vmlinux"
