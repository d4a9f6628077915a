# SPDX-License-Identifier: GPL-2.0-only
"""The KUnit and debug guest kernel: Debian's 6.12 with the options of kunit/kernel.config."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from lab import LabError, process
from lab.archive import Archive
from lab.packages import tool

SOURCE = "linux-source-6.12"
CC = "gcc-12"  # the compiler of Debian's kernels and headers
FRAGMENT = Path(__file__).resolve().parents[2] / "kunit" / "kernel.config"
RECIPE = "1"  # change it whenever the steps below give a different result
TOOLS = (CC, "make", "flex", "bison", "bc", "ld", "xz", "zstd", "tar", "depmod")


def fingerprint() -> str:
    """Distinguishes builds of the same source: by the options, the compiler and the recipe."""
    compiler = process.output([CC, "--version"])
    if compiler is None:
        raise LabError(f"{CC} --version fails")
    parts = (RECIPE, *sorted(asked_options(FRAGMENT.read_text(encoding="utf-8"))), compiler)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def build(into: Path) -> None:
    """Build the kernel, which takes minutes. `into` gets the layout of an unpacked Debian kernel."""
    for name in TOOLS:
        tool(name)
    archive = Archive()
    work = into / "work"
    work.mkdir()
    source, *_ = archive.unpack(lambda: [archive.find(SOURCE)], work, "kernel kunit")
    process.run(
        ["tar", "-xf", work / f"usr/src/{SOURCE}.tar.xz", "-C", work],
        "kernel kunit: unpacking the source",
    )
    tree = work / SOURCE
    # Every later build of a module for this kernel reads it, too.
    (tree / ".kernelvariables").write_text(f"CC = {CC}\nHOSTCC = {CC}\n", encoding="utf-8")
    _configure(tree)
    _make(tree, "building", "bzImage", "modules")
    _install(tree, into)
    shutil.rmtree(work)
    (into / "version").write_text(f"{source.version}\n", encoding="utf-8")


def _make(tree: Path, step: str, *arguments: str | Path) -> None:
    process.run(
        ["make", f"-j{os.cpu_count()}", *arguments],
        f"kernel kunit: {step}",
        cwd=tree,
        # The image has nothing of this machine or its user in it.
        env={"KBUILD_BUILD_USER": "kvmpv", "KBUILD_BUILD_HOST": "kunit", "LOCALVERSION": ""},
        detail=_counter(),
    )


def _counter() -> Callable[[str], str | None]:
    """Shows how much make has done, because make does not say how much there is to do."""
    steps = 0

    def count(line: str) -> str | None:
        nonlocal steps
        match = re.match(r"  [A-Z][A-Z0-9 \[\]]{1,9} +(\S+)", line)
        if match is None:
            return None
        steps += 1
        return f"{steps} files, {match[1]}"

    return count


def _configure(tree: Path) -> None:
    _make(tree, "configuring", "tinyconfig")
    merge = ["sh", "scripts/kconfig/merge_config.sh", "-m", ".config", str(FRAGMENT)]
    process.run(merge, "kernel kunit: merging kunit/kernel.config", cwd=tree)
    _make(tree, "configuring", "olddefconfig")
    lost = missing_options(
        FRAGMENT.read_text(encoding="utf-8"), (tree / ".config").read_text(encoding="utf-8")
    )
    if lost:
        raise LabError(f"the kernel dropped these lines of kunit/kernel.config: {'; '.join(lost)}")


def asked_options(fragment: str) -> list[str]:
    """The options of the fragment, without comments and blank lines."""
    return re.findall(r"^(?:CONFIG_\w+=.*|# CONFIG_\w+ is not set)$", fragment, re.MULTILINE)


def missing_options(fragment: str, config: str) -> list[str]:
    """The lines of the fragment that the configuration does not fulfil.

    An option that the configuration does not mention counts as not set.
    """
    have = set(config.splitlines())
    mentioned = {line.split("=")[0] for line in have if line.startswith("CONFIG_")}
    lost = []
    for line in asked_options(fragment):
        name = re.findall(r"CONFIG_\w+", line)[0]
        fulfilled = name not in mentioned if line.startswith("#") else line in have
        if not fulfilled:
            lost.append(line)
    return lost


def _install(tree: Path, into: Path) -> None:
    """Keep the image, the modules and what a module build needs, which is 4 % of the tree."""
    release = (tree / "include/config/kernel.release").read_text(encoding="utf-8").strip()
    headers = into / "usr/src" / f"linux-headers-{release}"
    extract = tree / "scripts/package/install-extmod-build"
    _make(tree, "keeping the headers", "run-command", f"KBUILD_RUN_COMMAND=sh {extract} {headers}")
    for name in (".config", ".kernelvariables"):
        shutil.copy2(tree / name, headers)
    # kunit.py, whose parser reads the test results.
    shutil.copytree(tree / "tools/testing/kunit", headers / "tools/testing/kunit")
    (into / "boot").mkdir()
    shutil.copy2(tree / "arch/x86/boot/bzImage", into / "boot" / f"vmlinuz-{release}")
    shutil.copy2(tree / "System.map", into / "boot" / f"System.map-{release}")
    _make(tree, "installing modules", "modules_install", f"INSTALL_MOD_PATH={into}", "DEPMOD=true")
    modules = into / "lib/modules" / release
    (modules / "kernel").mkdir(exist_ok=True)
    build = modules / "build"
    build.unlink(missing_ok=True)
    build.symlink_to(Path("../../../usr/src") / headers.name)
    process.run(["depmod", "-b", into, release], "kernel kunit: indexing modules")
    (into / "release").write_text(f"{release}\n", encoding="utf-8")
