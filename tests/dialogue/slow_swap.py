# SPDX-License-Identifier: GPL-2.0-only
"""A host that pushes pages of its guest out to a swap disk, and takes long to bring each of them back.

The disk is one of the kernel's null_blk: it keeps its content in memory, and completes each request by a timer. It has to be
asynchronous, because the host waits by itself for one that is not, such as zram. Above it is a device of the device mapper,
which can hold what is asked of the disk until it is told to let it go.

The host's kernel has to be newer than 6.1: that waits by itself for a page that it reads alone, from any disk.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab import cache
from lab.kernels import Kernel, modprobe_order

DISK = "/dev/nullb0"
SWAP, NAME = "/dev/dm-0", "kvmpv-swap"
OPTIONS = "nr_devices=1 gb=1 bs=4096 memory_backed=1 irqmode=2 completion_nsec={}"
PAGE = 4096
PIDFD_OPEN, PROCESS_MADVISE = 434, 440  # the system calls
MADV_PAGEOUT = 21
SWAPPED, FRAME = 1 << 62, (1 << 55) - 1  # of an entry in /proc/PID/pagemap
SWAP_CACHE = 1 << 13  # of an entry in /proc/kpageflags
MOMENT = 0.02  # seconds
PATIENCE = 60.0


class IoVec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Stuck(Exception):
    """The host did not push the pages out."""


def modules_of_this_host() -> Path:
    release = os.uname().release
    folders = [entry / "lib/modules" / release for entry in cache.entries()]
    return next(folder for folder in folders if folder.is_dir())


def insert(name: str, options: str = "") -> None:
    release = os.uname().release
    host = Kernel(release, release, Path(), modules_of_this_host(), None)
    *needed, module = modprobe_order(host, name)
    for file in needed:
        subprocess.run(["/usr/sbin/insmod", file], check=True)
    subprocess.run(["/usr/sbin/insmod", module, *options.split()], check=True)


def dmsetup(*words: str) -> None:
    """No udev runs on this host: the node of the device is the kernel's own."""
    subprocess.run(["/usr/sbin/dmsetup", "--noudevsync", "--noudevrules", *words], check=True)


def meminfo(name: str) -> int:
    """In kB."""
    for line in Path("/proc/meminfo").read_text("ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise KeyError(name)


def wait_until_0(name: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while meminfo(name):
        if time.monotonic() > deadline:
            raise Stuck(f"{name} is {meminfo(name)} kB")
        time.sleep(MOMENT)


class SlowSwap:
    """The host's only swap. Each request to it takes `latency_ns`."""

    def __init__(self, latency_ns: int) -> None:
        insert("null_blk", OPTIONS.format(latency_ns))
        insert("dm_mod")
        sectors = int(Path("/sys/class/block/nullb0/size").read_text("ascii"))
        dmsetup("create", NAME, "--table", f"0 {sectors} linear {DISK} 0")
        # Each page is read alone, so that each is waited for.
        Path("/proc/sys/vm/page-cluster").write_text("0\n", "ascii")
        subprocess.run(["/usr/sbin/mkswap", SWAP], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["/usr/sbin/swapon", SWAP], check=True)
        self._libc = ctypes.CDLL(None, use_errno=True)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Meanwhile no page comes back."""
        dmsetup("suspend", "--nolockfs", NAME)
        try:
            yield
        finally:
            dmsetup("resume", NAME)

    def push_out(self, pid: int, frames: Sequence[int]) -> None:
        """The guest's pages with these numbers are on the disk, and nowhere else. QEMU is the process `pid`.

        At first they are only written, and stay in memory. So they are taken back from there, and pushed out once more: now
        nothing has to be written, and they are freed.
        """
        addresses = [memory_of_guest(pid) + frame * PAGE for frame in frames]
        for _ in range(10):
            self._page_out(pid, addresses)
            wait_until_0("Writeback")
            read_all(pid, addresses)
            places = [entry & FRAME for entry in pagemap(pid, addresses)]
            self._page_out(pid, addresses)
            if all(entry & SWAPPED for entry in pagemap(pid, addresses)):
                if not any(flags & SWAP_CACHE for flags in words("/proc/kpageflags", places)):
                    return
        raise Stuck("the host keeps pages in memory")

    def _page_out(self, pid: int, addresses: Sequence[int]) -> None:
        vector = (IoVec * len(addresses))(*(IoVec(address, PAGE) for address in addresses))
        process = self._call(PIDFD_OPEN, pid, 0)
        try:
            self._call(PROCESS_MADVISE, process, vector, len(vector), MADV_PAGEOUT, 0)
        finally:
            os.close(process)

    def _call(self, number: int, *arguments: object) -> int:
        result = int(self._libc.syscall(number, *arguments))
        if result < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        return result


def memory_of_guest(pid: int) -> int:
    """Where in QEMU its lowest byte is: at the start of the largest mapping, if the guest has less than 3 GB."""
    ranges = [
        [int(end, 16) for end in line.split()[0].split("-")]
        for line in Path(f"/proc/{pid}/maps").read_text("ascii", errors="replace").splitlines()
        if line.split()[1].startswith("rw")
    ]
    return max(ranges, key=lambda ends: ends[1] - ends[0])[0]


def words(file: str, numbers: Sequence[int]) -> list[int]:
    """Those with these numbers of a file of 64-bit words."""
    with open(file, "rb", buffering=0) as opened:
        read = [os.pread(opened.fileno(), 8, 8 * number) for number in numbers]
    return [int.from_bytes(word, "little") for word in read]


def pagemap(pid: int, addresses: Sequence[int]) -> list[int]:
    return words(f"/proc/{pid}/pagemap", [address // PAGE for address in addresses])


def read_all(pid: int, addresses: Sequence[int]) -> None:
    """So that they are mapped."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for address in addresses:
            os.pread(memory.fileno(), 1, address)
