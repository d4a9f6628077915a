# SPDX-License-Identifier: GPL-2.0-only
"""The Debian packages that the project needs, and why. This is the only list of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab import LabError

# The last two are not in an ordinary user's PATH, but depmod, modprobe and dkms are there.
SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", "/usr/bin:/bin"), "/usr/sbin", "/sbin"))


# What the packages are used for, and the uses whose packages each needs as well.
USES = {
    "build": (),
    "tool": ("build",),
    "try": ("build", "tool"),
    "bench": ("build", "try"),
    "check": ("build", "tool", "try", "bench"),
    "package": ("build",),
    "pictures": ("build", "try", "bench"),
}

# What `make deps` installs. The pictures are made anew rarely, and `make pictures` asks for what it needs.
USUAL = tuple(use for use in USES if use != "pictures")


@dataclass(frozen=True)
class Package:
    use: str  # the one of USES that begins to need it
    name: str
    why: str
    tools: tuple[str, ...] = ()  # the package's commands that the scripts use


# No package starts a service or replaces one. But man-db, which debhelper needs and most machines have, indexes the
# manual once a day.
NEEDED = (
    Package(
        "build",
        "gcc-12",
        "the compiler that Debian 12 builds its kernels and headers with",
        ("gcc-12",),
    ),
    Package(
        "build",
        "g++-12",
        "compiles the C++ part of the module; kernel headers do not pull it in",
        ("g++-12",),
    ),
    Package(
        "build",
        "binutils",
        "the linker, and nm and readelf for the object check",
        ("ld", "nm", "objcopy", "objdump", "readelf"),
    ),
    Package("build", "make", "runs Kbuild", ("make",)),
    Package("build", "libc6-dev", "the C headers below the few libstdc++ headers in use"),
    Package("build", "libelf1", "objtool and resolve_btfids of unpacked headers load it"),
    Package(
        "build",
        "dwarves",
        "pahole: BTF of the module on kernels that ship their vmlinux",
        ("pahole",),
    ),
    Package(
        "build",
        "kmod",
        "depmod and modinfo for unpacked kernels",
        ("depmod", "modinfo", "modprobe"),
    ),
    Package("build", "findutils", "goes over the files of a build and of kernels", ("find",)),
    Package(
        "build",
        "util-linux",
        "locks builds; ends what a killed script started",
        ("flock", "setpriv", "unshare"),
    ),
    Package("build", "python3", "every script under scripts/", ("python3",)),
    Package("tool", "libcli11-dev", "CLI11: the command line of kvmpv"),
    Package("tool", "libfmt-dev", "{fmt}: what kvmpv prints"),
    Package("tool", "nlohmann-json3-dev", "JSON for Modern C++: kvmpv --json"),
    Package("tool", "libncurses-dev", "ncurses: the screen of kvmpv top"),
    Package("try", "apt", "looks up and downloads kernels", ("apt-get", "apt-cache")),
    Package("try", "dpkg", "unpacks kernels without installing them", ("dpkg-deb", "dpkg-query")),
    Package("try", "xz-utils", "unpacks modules, and the kernel source", ("xz",)),
    Package("try", "coreutils", "the size of a cached kernel", ("du",)),
    Package(
        "try",
        "qemu-system-x86",
        "runs the guests and, without hardware KVM, their host; the newer one uses its libraries",
        ("qemu-system-x86_64",),
    ),
    Package("try", "busybox-static", "user space of the guests", ("busybox",)),
    Package("bench", "libbenchmark-dev", "Google Benchmark, for the clock on the real CPU"),
    Package("bench", "msr-tools", "reads MSRs in guests, beside kvmpv", ("rdmsr", "wrmsr")),
    Package("check", "groff-base", "looks at the manual page of kvmpv", ("groff",)),
    Package("check", "libgtest-dev", "GoogleTest, for the unit tests of kvmpv"),
    Package("check", "flex", "the kunit kernel: Kconfig's scanner", ("flex",)),
    Package("check", "bison", "the kunit kernel: Kconfig's parser", ("bison",)),
    Package("check", "bc", "the kunit kernel: computes time constants", ("bc",)),
    Package("check", "libelf-dev", "the kunit kernel: objtool reads ELF with it"),
    Package("check", "zstd", "the images of newer hosts and of the kunit kernel", ("zstd",)),
    Package("check", "perl", "the kunit kernel; the kernel's checkpatch.pl", ("perl",)),
    Package("check", "tar", "unpacks the kernel source", ("tar",)),
    Package("check", "cpio", "reads the archives that the lab makes for guests", ("cpio",)),
    Package("check", "dkms", "make dkms-install, and the test of it", ("dkms",)),
    Package("check", "debootstrap", "makes the bare machine's root", ("debootstrap",)),
    Package("check", "debian-archive-keyring", "the keys by which debootstrap knows the archive"),
    Package("check", "openssl", "dkms signs modules with it", ("openssl",)),
    Package("check", "dmsetup", "holds what a KVM host reads from its swap disk", ("dmsetup",)),
    Package("package", "build-essential", "dpkg-buildpackage asks for it", ("dpkg-buildpackage",)),
    Package("package", "debhelper", "puts the Debian package together", ("dh",)),
    Package("package", "dh-dkms", "what a package does with DKMS when it comes and goes"),
    Package("package", "lintian", "looks at the package", ("lintian",)),
    Package("pictures", "python3-rich", "makes a picture of what a terminal shows"),
    Package("pictures", "gnuplot-nox", "makes the plot", ("gnuplot",)),
)


def needed(uses: Iterable[str]) -> list[Package]:
    """The packages for these uses."""
    wanted = {needs for use in uses for needs in (use, *USES[use])}
    return [package for package in NEEDED if package.use in wanted]


def tool(name: str) -> Path:
    """The path of the command. If it is missing, an error names its package."""
    found = shutil.which(name, path=SEARCH_PATH)
    if found is None:
        package = next((p.name for p in NEEDED if name in p.tools), name)
        raise LabError(f"{name} is missing: install the package {package} (make deps does)")
    return Path(found)
