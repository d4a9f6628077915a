# SPDX-License-Identifier: GPL-2.0-only
"""What the emulated KVM host boots: a stock kernel, and a first root with modules and the Python that on_host.py needs."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from lab import bzimage, cache
from lab.elf import interpreter
from lab.initramfs import Archive
from lab.kernels import Kernel, modprobe_order

HOST_KERNEL = "6.1"  # if no other is asked for
LAB = Path(__file__).parent
# Debian's: the emulated host has no environment in which to look for another.
PYTHON = "/usr/bin/python3"

FSTAB = """\
proc /proc proc
sysfs /sys sysfs
devtmpfs /dev devtmpfs
debugfs /sys/kernel/debug debugfs
tracefs /sys/kernel/tracing tracefs
"""


def image(host: Kernel) -> Path:
    """The host's kernel without its compression, kept in the cache: 60 MB that save 3 s in every boot."""
    content = hashlib.sha256(host.image.read_bytes()).hexdigest()[:12]

    def make(into: Path) -> None:
        (into / "vmlinux").write_bytes(bzimage.vmlinux(host.image))
        (into / "release").write_text(f"{host.release}\n", encoding="utf-8")
        (into / "version").write_text("unpacked for the nested host\n", encoding="utf-8")

    return cache.entry(f"vmlinux-{content}", make) / "vmlinux"


def initramfs(host: Kernel, folder: Path) -> bytes:
    """The first root; `folder` is for what is made on the way. The same sources give the same bytes, wherever they are."""
    archive = Archive()
    archive.busybox()
    archive.character_device("/dev/console", 5, 1)
    for empty in ("/proc", "/sys", "/root"):
        archive.folder(empty)
    archive.data("/etc/fstab", FSTAB.encode())
    archive.data("/init", (LAB / "host_init.sh").read_bytes(), executable=True)
    archive.data("/enter", (LAB / "host_enter.sh").read_bytes(), executable=True)
    _add_python(archive, folder)
    for number, module in enumerate(_modules(host)):
        archive.file(module, f"/modules/{number:02}-{module.name.removesuffix('.xz')}")
    return archive.image()


def _modules(host: Kernel) -> list[Path]:
    return modprobe_order(host, "virtio_pci", "virtio_console", "9pnet_virtio", "9p", "kvm-amd")


def _add_python(archive: Archive, folder: Path) -> None:
    """What on_host.py needs: the machine has the same files, but through the shared file system they take a second longer."""
    archive.file(Path(PYTHON), PYTHON)
    library = folder / "python"
    pack = LAB / "pack_python.py"
    subprocess.run([PYTHON, "-I", "-S", "-B", pack, LAB.parent, library], check=True)
    archive.tree(library, "/")
    loader = interpreter(Path(PYTHON).read_bytes())
    assert loader is not None
    for extension in sorted(library.rglob("*.so")):
        archive.libraries(extension, loader)
