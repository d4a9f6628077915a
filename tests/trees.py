# SPDX-License-Identifier: GPL-2.0-only
"""Trees to build in: reduced copies of the project and of kernels' build folders."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from built import ROOT
from lab.kernels import Kernel

PARTS = "Makefile Kbuild dkms.conf LICENSE include src kunit bench tests/modules scripts".split()

# A module of two files. It builds in seconds, and says which kernel's headers it was built with.
SMALL_KBUILD = """\
obj-m := kvmpv.o
kvmpv-y := src/entry.o src/number.o
include $(src)/scripts/cxx.mk
"""
SMALL_ENTRY = """\
#include <generated/utsrelease.h>
#include <linux/module.h>
int number(void);
static int __init kvmpv_init(void)
{
	pr_info("number %d, headers of " UTS_RELEASE "\\n", number());
	return 0;
}
module_init(kvmpv_init);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("first");
"""
SMALL_NUMBER = 'extern "C" int number();\nint number() { return 1; }\n'


def copy_of_project(folder: Path) -> None:
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            unwanted = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=unwanted)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / name)


def copy_with_a_small_module(folder: Path) -> None:
    copy_of_project(folder)
    (folder / "Kbuild").write_text(SMALL_KBUILD)
    (folder / "src/entry.c").write_text(SMALL_ENTRY)
    (folder / "src/number.cc").write_text(SMALL_NUMBER)


FAKE_RELEASE = "6.12.0-kvmpv-fake"
# What kbuild would read, and who builds.
FAKE_MAKEFILE = """\
modules:
	@env > $(M)/environment
	@echo 'O=$(O) ARCH=$(ARCH)' > $(M)/variables
	@id -u > $(M)/kvmpv.ko
"""


def fake_kernel(folder: Path, without: str = "") -> Path:
    """The part of a kernel's build folder that the Makefile reads. It compiles nothing."""
    options = ("CONFIG_X86_64", "CONFIG_SMP", "CONFIG_CC_IS_GCC")
    (folder / "include/generated").mkdir(parents=True)
    (folder / "include/config").mkdir()
    (folder / "include/generated/utsrelease.h").write_text(
        f'#define UTS_RELEASE "{FAKE_RELEASE}"\n'
    )
    (folder / "include/config/auto.conf").write_text(
        "".join(f"{option}=y\n" for option in options if option != without)
    )
    (folder / "Makefile").write_text(FAKE_MAKEFILE)
    return folder


def headers_without(kernel: Kernel, folder: Path, options: set[str], symbols: list[str]) -> Path:
    """A kernel's headers, as if it had been built without these options.

    `symbols` are parts of the names that such a kernel does not export.
    """
    assert kernel.build is not None
    folder.mkdir()
    for name in ("include", "arch"):
        shutil.copytree(kernel.build / name, folder / name, symlinks=True)
    for name in ("scripts", "tools", "vmlinux"):
        (folder / name).symlink_to(kernel.build / name)
    for name in (".config", ".kernelvariables"):
        shutil.copy(kernel.build / name, folder)
    # Debian's Makefile names the common headers beside it.
    beside = (kernel.build / "Makefile").read_text()
    here = "$(dir $(lastword $(MAKEFILE_LIST)))"
    assert here in beside
    (folder / "Makefile").write_text(beside.replace(here, f"{kernel.build}/"))

    def drop(file: str, is_dropped: Callable[[str], bool]) -> None:
        lines = (kernel.build / file).read_text().splitlines(keepends=True)
        (folder / file).write_text("".join(line for line in lines if not is_dropped(line)))

    names = {f"CONFIG_{option}" for option in options}
    drop(".config", lambda line: line.split("=")[0] in names)
    drop("include/config/auto.conf", lambda line: line.split("=")[0] in names)
    defined = names | {f"{name}_MODULE" for name in names}
    drop("include/generated/autoconf.h", lambda line: not defined.isdisjoint(line.split()[1:2]))
    drop("Module.symvers", lambda line: any(part in line.split("\t")[1] for part in symbols))
    return folder


def make(
    folder: Path, *arguments: str, before: Path | None = None, umask: int = -1, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs `make` there. The programs in `before` are found before those of the machine."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={**os.environ, "PATH": f"{before}:{path}" if before else path, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        umask=umask,
    )


def program(folder: Path, name: str, script: str) -> None:
    """Writes a program of that name, for `before`."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
