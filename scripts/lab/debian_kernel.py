# SPDX-License-Identifier: GPL-2.0-only
"""Stock Debian kernels with their headers, unpacked into folders that may be moved."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lab import LabError, process
from lab.archive import Archive, Package

OWN = "bookworm"  # with bookworm-security: what this machine's apt has


@dataclass(frozen=True)
class Recipe:
    series: str  # the release begins with it
    suite: str  # where Debian has it
    meta: str  # the package that depends on the newest image
    compilers: str | None  # the root (compilers.py) that has its compiler and runs its kbuild tools; None: this machine
    tier: str  # one of TIERS
    parameters: str = ""  # that a guest with it needs


# What the tests do with a kernel. `make check` builds for each of them.
TIERS = {
    "whole": "in `make check` most scenarios, each on one of them; in `make check-all` all; DKMS, the bare machine",
    "part": "in `make check` the scenario `everywhere` and one of each feature; in `make check-all` all",
    "build": "in `make check` the build alone; in `make check-all` the scenario `everywhere`",
}

# The clocksource watchdog of 7.3 makes two CPUs read the TSC in turn, with interrupts off, until they are done or a time is up.
# At boot the time is counted in jiffies, and they stand still meanwhile. If the other CPU waits for the watchdog's lock then, to
# register a clocksource, both wait for ever. docs/guest.md shows it.
UNWATCHED = "tsc=nowatchdog"


def _backport(meta: str, tier: str) -> Recipe:
    return Recipe("7.3", "trixie-backports", meta, "trixie", tier, UNWATCHED)


# Every kernel that is not built here. When trixie-backports moves on, the line above changes, and three names.
KERNELS = {
    "6.1": Recipe("6.1", OWN, "linux-image-amd64", None, "whole"),
    "6.1-cloud": Recipe("6.1", OWN, "linux-image-cloud-amd64", None, "build"),
    "6.1-rt": Recipe("6.1", OWN, "linux-image-rt-amd64", None, "build"),
    "6.12": Recipe("6.12", OWN, "linux-image-6.12-amd64", None, "whole"),
    "6.12-cloud": Recipe("6.12", OWN, "linux-image-6.12-cloud-amd64", None, "build"),
    "6.12-rt": Recipe("6.12", OWN, "linux-image-6.12-rt-amd64", None, "build"),
    "6.12-trixie": Recipe("6.12", "trixie", "linux-image-amd64", "trixie", "build"),
    "7.3": _backport("linux-image-amd64", "part"),
    "7.3-cloud": _backport("linux-image-cloud-amd64", "build"),
    "7.3-rt": _backport("linux-image-rt-amd64", "build"),
}


def of_tier(*tiers: str) -> tuple[str, ...]:
    return tuple(name for name, recipe in KERNELS.items() if recipe.tier in tiers)


def unpack(name: str, into: Path) -> None:
    """Unpack the newest kernel of a line of the table that its suite has."""
    recipe = KERNELS[name]
    archive = Archive(OWN, recipe.suite) if recipe.suite != OWN else Archive()

    def choose() -> list[Package]:
        image = _image(archive, recipe)
        headers = archive.find(image.name.replace("linux-image-", "linux-headers-", 1))
        pattern = re.compile(r"linux-(headers-.*-common(-rt)?|kbuild-.*)$")
        parts = [name for name in headers.depends if pattern.match(name)]
        # Since 7.x the image's package is empty, and depends on those that have its parts.
        pattern = re.compile(r"linux-(base|binary|modules)-\d")
        parts += [name for name in image.depends if pattern.match(name)]
        return [image, headers, *map(archive.find, parts)]

    image, headers, *_ = archive.unpack(choose, into, f"kernel {name}")
    release = image.name.removeprefix("linux-image-")
    modules = into / "lib/modules" / release
    _as_before(into, release)
    _relocate(into / "usr/src" / headers.name, modules)
    # The modules are compressed since 6.12, and not every insmod in a guest can unpack them.
    plain = ["find", str(modules), "-name", "*.ko.xz", "-exec", "xz", "-d", "{}", "+"]
    process.run(plain, f"kernel {name}: decompressing modules")
    process.run(["depmod", "-b", into, release], f"kernel {name}: indexing modules")
    (into / "release").write_text(f"{release}\n", encoding="utf-8")
    (into / "version").write_text(f"{image.version}\n", encoding="utf-8")


def _image(archive: Archive, recipe: Recipe) -> Package:
    """The image. It is found by its meta package, because only that one's name stays the same."""
    pattern = re.compile(rf"linux-image-{re.escape(recipe.series)}\.\d")

    def images(package: Package) -> list[str]:
        return [name for name in package.depends if pattern.match(name)]

    meta = archive.find(recipe.meta, fits=lambda package: bool(images(package)))
    return archive.find(images(meta)[0])


def _as_before(into: Path, release: str) -> None:
    """Put things where they were before 7.x: since then all of it, the image too, is below usr/lib/modules."""
    new = into / "usr/lib/modules" / release
    if not new.is_dir():
        return
    old = into / "lib/modules" / release
    old.parent.mkdir(parents=True, exist_ok=True)
    new.rename(old)
    image = into / "boot" / f"vmlinuz-{release}"
    if not image.is_file():
        image.parent.mkdir(exist_ok=True)
        (old / "vmlinuz").rename(image)


def _relocate(headers: Path, modules: Path) -> None:
    """Make the headers and the common headers find each other wherever the folder is.

    Debian's Makefile has a line or two with absolute paths. The links in the headers are relative already.
    """
    makefile = headers / "Makefile"
    text = makefile.read_text(encoding="utf-8")
    common = re.search(r"^include /usr/src/([^/\s]+)/Makefile$", text, re.MULTILINE)
    if common is None:
        raise LabError(f"{headers.name}/Makefile includes no common one but: {text.strip()[:60]}")
    here = "$(dir $(lastword $(MAKEFILE_LIST)))"
    text = text.replace(
        f"KBUILD_OUTPUT=/usr/src/{headers.name}\n", f"KBUILD_OUTPUT:=$(abspath {here})\n"
    ).replace(f"include /usr/src/{common[1]}/", f"include {here}../{common[1]}/")
    makefile.write_text(text, encoding="utf-8")
    for link, target in (("build", headers.name), ("source", common[1])):
        (modules / link).unlink(missing_ok=True)
        (modules / link).symlink_to(Path("../../../usr/src") / target)
