# SPDX-License-Identifier: GPL-2.0-only
"""The parts of a guest: its initial root, its kernel command line, and the arguments of its QEMU."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

from lab import channels, project, shim
from lab.initramfs import Archive
from lab.kernels import Kernel, modprobe_order
from lab.options import Options
from lab.qemu import Qemu

HERE = Path(__file__).parent
STOCK_MODULES = ("virtio_pci", "virtio_console", "msr")  # the channels, and /dev/cpu/N/msr
HOME = "/root"  # where COMMAND starts, and the first folder of its PATH

FSTAB = """\
proc /proc proc
sysfs /sys sysfs
devtmpfs /dev devtmpfs
tmpfs /run tmpfs
tmpfs /tmp tmpfs
debugfs /sys/kernel/debug debugfs
tracefs /sys/kernel/tracing tracefs
"""

# Device files that the kernel does not put into /dev. guest_init.sh copies them there.
DEV = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}

# Down to warnings on the serial console, so that a dying guest tells why: each character costs VM exits, and the whole
# log is read out at the end. Its buffer has room for a test that loads and unloads hundreds of times.
# pci=noearly: scanning for an AGP bridge behind an emulated CPU of AMD's family 15 would take a nested guest 2 s.
# no_timer_check: a kernel with KVM's paravirtual features sets it by itself; with nopv it may find too few interrupts in its
# first 40 ms where the machine is busy, and panics ("IO-APIC + timer doesn't work").
KERNEL_PARAMETERS = "console=ttyS0 panic=-1 loglevel=5 log_buf_len=4M pci=noearly no_timer_check"


def initramfs(kernel: Kernel, options: Options, modules: list[Path], token: str) -> bytes:
    """The initial root of the guest. `modules` are the project's own, for /kvmpv."""
    archive = Archive()
    archive.busybox()
    archive.character_device("/dev/console", 5, 1)
    for folder in ("/proc", "/sys", "/run", "/tmp", HOME, "/kvmpv/stock"):
        archive.folder(folder)
    for name, target in DEV.items():
        archive.link(f"/kvmpv/dev/{name}", target)
    for folder in ("/kvmpv/dev/pts", "/kvmpv/dev/shm"):
        archive.folder(folder)
    archive.data("/etc/fstab", FSTAB.encode())
    archive.data("/etc/passwd", f"root:x:0:0:root:{HOME}:/bin/sh\n".encode())
    archive.data("/etc/group", b"root:x:0:\n")
    archive.data("/init", (HERE / "guest_init.sh").read_bytes(), executable=True)
    for number, module in enumerate(stock_modules(kernel)):
        archive.file(module, f"/kvmpv/stock/{number:02}-{module.name.removesuffix('.xz')}")
    for module in modules:
        archive.file(module, f"/kvmpv/{module.name}")
    archive.data("/kvmpv/job", _job(options, token).encode())
    archive.data("/kvmpv/command", os.fsencode(options.command or ""))
    if project.TOOL.exists():
        archive.file(project.TOOL, "/usr/bin/kvmpv")
    for addition in options.additions():
        archive.tree(addition.source, addition.destination)
    return archive.image()


def stock_modules(kernel: Kernel) -> list[Path]:
    """Modules of the kernel that the guest needs. A kernel without a folder of modules must have them built in."""
    return modprobe_order(kernel, *STOCK_MODULES) if kernel.modules is not None else []


def _job(options: Options, token: str) -> str:
    """The file that guest_init.sh reads."""
    settings = {
        "token": token,
        "load": "yes" if options.load else "",
        "params": options.params,
        "begin_mark": str(channels.BEGIN_MARK),
        "own_marks": "yes" if options.own_marks else "",
        "interactive": "yes" if options.command is None else "",
        "rows": str(shutil.get_terminal_size().lines),
        "columns": str(shutil.get_terminal_size().columns),
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in settings.items()]
    lines.append(f"export HOME={HOME} PATH={HOME}:/bin:/sbin:/usr/bin:/usr/sbin TERM=linux")
    if options.own_marks:
        lines.append(f"export KVMPV_MARK={channels.BEGIN_MARK}")
    return "\n".join(lines) + "\n"


def qemu(emulator: Qemu, kernel: Kernel, options: Options, initrd: Path, work: str) -> list[str]:
    """The command that starts QEMU. `work` is the folder of the sockets on the KVM host."""
    arguments = shim.words(options.shim, work) if options.shim is not None else []
    arguments += [*emulator.command(), "-name", "guest,debug-threads=on", "-accel", "kvm"]
    # With xsave a guest of an emulated host warns or dies at boot, because the sizes that the CPU reports disagree.
    # AVX needs it, and 7.3 tries its AVX code for AES while it boots, if the CPU claims to have that.
    arguments += ["-cpu", ",".join(["host", "-xsave", "-avx", "-avx2", *options.cpu_flags()])]
    arguments += ["-smp", str(options.smp), "-m", str(options.mem)]
    arguments += ["-nodefaults", "-nographic", "-no-reboot"]
    arguments += ["-kernel", str(kernel.image), "-initrd", str(initrd)]
    parameters = (KERNEL_PARAMETERS, kernel.parameters, options.cmdline)
    arguments += ["-append", " ".join(filter(None, parameters))]
    arguments += channels.devices(work)
    # The lab's own: QEMU serves one at a time on each, and the host script keeps its.
    arguments += ["-qmp", f"unix:{work}/lab,server=on,wait=off"]
    if options.host_script is not None:
        arguments += ["-qmp", f"unix:{work}/qmp,server=on,wait=off"]
        arguments += ["-gdb", f"unix:{work}/gdb,server=on,wait=off"]
    return [*arguments, *options.qemu]
