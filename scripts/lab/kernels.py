# SPDX-License-Identifier: GPL-2.0-only
"""Finds a kernel by its name, and the order in which its modules are loaded."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from lab import LabError, cache, debian_kernel, kunit_kernel

NAMES = (*debian_kernel.KERNELS, *kunit_kernel.FRAGMENTS)


@dataclass(frozen=True)
class Kernel:
    name: str  # one of NAMES, or the file given
    release: str  # what uname -r prints in it
    image: Path  # bzImage
    modules: Path | None  # lib/modules/RELEASE, indexed by depmod; None for a bzImage without one
    build: Path | None  # KDIR of a module build; None for a bzImage
    compilers: str | None = None  # the root in which modules for it are built; None: this machine
    parameters: str = ""  # of its command line, that a guest with it needs


def kernel(name: str) -> Kernel:
    """The kernel. If this machine does not have it yet, it is downloaded and unpacked, or built."""
    if name in kunit_kernel.FRAGMENTS:
        return _load(name, _debug_entry(name))
    if name in debian_kernel.KERNELS:
        return _load(name, cache.entry(name, lambda into: debian_kernel.unpack(name, into)))
    return _from_file(Path(name))


def modprobe_order(kernel: Kernel, *names: str) -> list[Path]:
    """The files of these modules and of all modules that they need, in the order for insmod.

    What is built into the kernel is left out.
    """
    if kernel.modules is None:
        raise LabError(f"the kernel {kernel.name} has no folder of modules")
    needs = _dependencies(kernel.modules)
    builtin = _stems((kernel.modules / "modules.builtin").read_text(encoding="utf-8").split())
    order: dict[Path, None] = {}
    for name in names:
        stem = name.replace("-", "_")
        if stem in needs:
            order.update(dict.fromkeys(needs[stem]))
        elif stem not in builtin:
            raise LabError(f"the kernel {kernel.release} has no module {name}")
    return list(order)


def _dependencies(modules: Path) -> dict[str, list[Path]]:
    """For each module the order in which to load it and what it needs: its line of modules.dep, backwards."""
    needs = {}
    for line in (modules / "modules.dep").read_text(encoding="utf-8").splitlines():
        target, _, others = line.partition(":")
        files = [modules / file for file in reversed([target, *others.split()])]
        needs[_stem(target)] = files
    return needs


def _stems(files: list[str]) -> set[str]:
    return {_stem(file) for file in files}


def _stem(file: str) -> str:
    return Path(file).name.split(".ko")[0].replace("-", "_")


def _debug_entry(name: str) -> Path:
    """The debug kernel. As with every entry, a finished build is used without a look at the archive.

    So it works offline, and a newer source is built only after scripts/kernels drop.
    """
    entry = f"{name}-{kunit_kernel.fingerprint(name)}"
    return cache.entry(entry, lambda into: kunit_kernel.build(name, into))


def _load(name: str, entry: Path) -> Kernel:
    release = (entry / "release").read_text(encoding="utf-8").strip()
    recipe = debian_kernel.KERNELS.get(name)
    return Kernel(
        name=name,
        release=release,
        image=entry / "boot" / f"vmlinuz-{release}",
        modules=entry / "lib/modules" / release,
        build=entry / "usr/src" / f"linux-headers-{release}",
        compilers=recipe.compilers if recipe else None,
        parameters=recipe.parameters if recipe else "",
    )


def _from_file(file: Path) -> Kernel:
    if not file.is_file():
        raise LabError(f"there is no kernel {file}: give a file or one of {', '.join(NAMES)}")
    release = _release_of(file)
    beside = (file.absolute().parent / "lib/modules", file.absolute().parent.parent / "lib/modules")
    folders = (folder / release for folder in beside)
    indexes = ("modules.dep", "modules.builtin")
    modules = next((f for f in folders if all((f / index).is_file() for index in indexes)), None)
    return Kernel(
        name=str(file), release=release, image=file.absolute(), modules=modules, build=None
    )


def _release_of(file: Path) -> str:
    """The release in a bzImage, found by its setup header (the kernel's x86/boot.rst)."""
    try:
        with file.open("rb") as image:
            head = image.read(0x10000)
    except OSError as error:
        raise LabError(f"cannot read the kernel {file}: {error.strerror}") from error
    if head[0x202:0x206] != b"HdrS":
        raise LabError(f"{file} is no bzImage: it lacks the setup header of one")
    (offset,) = struct.unpack_from("<H", head, 0x20E)
    text = head[offset + 0x200 :].split(b"\0", 1)[0].decode(errors="replace")
    if not offset or not text:
        raise LabError(f"{file} does not say which kernel it is")
    return text.split()[0]
