# SPDX-License-Identifier: GPL-2.0-only
"""Which Debian packages the project needs, and why: the only list of them."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab import LabError

# An ordinary user's PATH lacks the last two, and depmod, modprobe and dkms live there.
SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", "/usr/bin:/bin"), "/usr/sbin", "/sbin"))


@dataclass(frozen=True)
class Package:
    name: str
    why: str
    tools: tuple[str, ...] = ()  # the commands of it that the scripts start


NEEDED = (
    Package(
        "gcc-12", "the compiler that Debian 12 builds its kernels and headers with", ("gcc-12",)
    ),
    Package(
        "g++-12",
        "compiles the C++ part of the module; kernel headers do not pull it in",
        ("g++-12",),
    ),
    Package(
        "binutils", "the linker, and nm and readelf for the object check", ("ld", "nm", "readelf")
    ),
    Package("make", "runs Kbuild", ("make",)),
    Package("libc6-dev", "the C headers below the few libstdc++ headers in use"),
    Package("dwarves", "pahole: BTF of the module on kernels that ship their vmlinux", ("pahole",)),
    Package("kmod", "depmod and modinfo for unpacked kernels", ("depmod", "modinfo")),
    Package(
        "qemu-system-x86",
        "runs the guests and, without hardware KVM, their host; the newer one uses its libraries",
        ("qemu-system-x86_64",),
    ),
    Package("busybox-static", "user space of the guests", ("busybox",)),
    Package("cpio", "packs the initramfs of a guest", ("cpio",)),
    Package("flex", "the kunit kernel: Kconfig's scanner", ("flex",)),
    Package("bison", "the kunit kernel: Kconfig's parser", ("bison",)),
    Package("bc", "the kunit kernel: computes time constants", ("bc",)),
    Package("libelf-dev", "the kunit kernel: objtool reads ELF with it"),
    Package("zstd", "the kunit kernel: compresses the image", ("zstd",)),
    Package("xz-utils", "unpacks the kernel source", ("xz",)),
    Package("perl", "the kunit kernel; the kernel's checkpatch.pl", ("perl",)),
    Package("tar", "unpacks the kernel source", ("tar",)),
    Package("apt", "looks up and downloads kernels", ("apt-get", "apt-cache")),
    Package("dpkg", "unpacks kernels without installing them", ("dpkg-deb", "dpkg-query")),
    Package("findutils", "goes over the files of unpacked kernels", ("find",)),
    Package("util-linux", "ends what a killed script started; locks builds", ("setpriv", "flock")),
    Package("libbenchmark-dev", "make bench: Google Benchmark, for the clock on the real CPU"),
    Package("msr-tools", "tests read MSRs with it, not with kvmpv", ("rdmsr",)),
    Package("coreutils", "the size of a cached kernel", ("du",)),
    Package("dkms", "make dkms-install, and the test of it", ("dkms",)),
    Package("git", "the version in package and module names", ("git",)),
    Package("python3", "every script under scripts/", ("python3",)),
)


def tool(name: str) -> Path:
    """Where the command is; an error that names its package if it is nowhere."""
    found = shutil.which(name, path=SEARCH_PATH)
    if found is None:
        package = next((p.name for p in NEEDED if name in p.tools), name)
        raise LabError(f"{name} is missing: install the package {package} (make deps does)")
    return Path(found)
