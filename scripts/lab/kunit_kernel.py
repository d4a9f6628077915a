# SPDX-License-Identifier: GPL-2.0-only
"""The debug kernels, which have KUnit: Debian's 6.12 with the options of kunit/kernel.config, and of files like it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lab import LabError, process
from lab.archive import Archive
from lab.packages import tool

SOURCE = "linux-source-6.12"
CC = "gcc-12"  # the compiler of Debian's kernels and headers
FOLDER = Path(__file__).resolve().parents[2] / "kunit"
# By name; a later file has the last word.
FRAGMENTS = {
    "kunit": ("kernel.config",),
    "kasan": ("kernel.config", "kasan.config"),
    "no-debugfs": ("kernel.config", "no_debugfs.config"),
}
RECIPE = "1"  # change it whenever the steps below give a different result
TOOLS = (CC, "make", "flex", "bison", "bc", "ld", "xz", "zstd", "tar", "depmod")


def asked(name: str) -> list[str]:
    """The options of this kernel, one line each."""
    options = {}
    for fragment in FRAGMENTS[name]:
        for line in asked_options((FOLDER / fragment).read_text(encoding="utf-8")):
            options[re.findall(r"CONFIG_\w+", line)[0]] = line
    return list(options.values())


def fingerprint(name: str) -> str:
    """Distinguishes builds of the same source: by the options, the compiler and the recipe."""
    compiler = process.output([CC, "--version"])
    if compiler is None:
        raise LabError(f"{CC} --version fails")
    parts = (RECIPE, *sorted(asked(name)), compiler)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def build(name: str, into: Path) -> None:
    """Build the kernel, which takes minutes. `into` gets the layout of an unpacked Debian kernel."""
    for command in TOOLS:
        tool(command)
    archive = Archive()
    work = into / "work"
    work.mkdir()
    source, *_ = archive.unpack(lambda: [archive.find(SOURCE)], work, f"kernel {name}")
    process.run(
        ["tar", "-xf", work / f"usr/src/{SOURCE}.tar.xz", "-C", work],
        f"kernel {name}: unpacking the source",
    )
    tree = work / SOURCE
    # Every later build of a module for this kernel reads it, too.
    (tree / ".kernelvariables").write_text(f"CC = {CC}\nHOSTCC = {CC}\n", encoding="utf-8")
    make = partial(_make, name, tree)
    _configure(name, tree, make)
    make("building", "bzImage", "modules")
    _install(name, tree, into, make)
    shutil.rmtree(work)
    (into / "version").write_text(f"{source.version}\n", encoding="utf-8")


def _make(name: str, tree: Path, step: str, *arguments: str | Path) -> None:
    process.run(
        ["make", f"-j{os.cpu_count()}", *arguments],
        f"kernel {name}: {step}",
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


def _configure(name: str, tree: Path, make: Callable[..., None]) -> None:
    make("configuring", "tinyconfig")
    options = "".join(f"{line}\n" for line in asked(name))
    (tree / "asked.config").write_text(options, encoding="utf-8")
    merge = ["sh", "scripts/kconfig/merge_config.sh", "-m", ".config", "asked.config"]
    process.run(merge, f"kernel {name}: merging {' and '.join(FRAGMENTS[name])}", cwd=tree)
    make("configuring", "olddefconfig")
    lost = missing_options(options, (tree / ".config").read_text(encoding="utf-8"))
    if lost:
        raise LabError(f"the kernel dropped these of its options: {'; '.join(lost)}")


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


def _install(name: str, tree: Path, into: Path, make: Callable[..., None]) -> None:
    """Keep the image, the modules and what a module build needs, which is 4 % of the tree."""
    release = (tree / "include/config/kernel.release").read_text(encoding="utf-8").strip()
    headers = into / "usr/src" / f"linux-headers-{release}"
    extract = tree / "scripts/package/install-extmod-build"
    make("keeping the headers", "run-command", f"KBUILD_RUN_COMMAND=sh {extract} {headers}")
    for file in (".config", ".kernelvariables"):
        shutil.copy2(tree / file, headers)
    # kunit.py, whose parser reads the test results.
    shutil.copytree(tree / "tools/testing/kunit", headers / "tools/testing/kunit")
    (into / "boot").mkdir()
    shutil.copy2(tree / "arch/x86/boot/bzImage", into / "boot" / f"vmlinuz-{release}")
    shutil.copy2(tree / "System.map", into / "boot" / f"System.map-{release}")
    make("installing modules", "modules_install", f"INSTALL_MOD_PATH={into}", "DEPMOD=true")
    modules = into / "lib/modules" / release
    (modules / "kernel").mkdir(exist_ok=True)
    build = modules / "build"
    build.unlink(missing_ok=True)
    build.symlink_to(Path("../../../usr/src") / headers.name)
    process.run(["depmod", "-b", into, release], f"kernel {name}: indexing modules")
    (into / "release").write_text(f"{release}\n", encoding="utf-8")
