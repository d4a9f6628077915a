# SPDX-License-Identifier: GPL-2.0-only
"""A stock Debian kernel with its headers, unpacked into a folder that may be moved."""

from __future__ import annotations

import re
from pathlib import Path

from lab import LabError, process
from lab.archive import Archive, Package


def unpack(series: str, into: Path) -> None:
    """Unpack the newest kernel of a series ("6.1") that the archive has."""
    archive = Archive()

    def choose() -> list[Package]:
        image = _image(archive, series)
        headers = archive.find(image.name.replace("linux-image-", "linux-headers-", 1))
        parts = [
            name
            for name in headers.depends
            if re.match(r"linux-(headers-.*-common|kbuild-.*)$", name)
        ]
        return [image, headers, *map(archive.find, parts)]

    image, headers, *_ = archive.unpack(choose, into, f"kernel {series}")
    release = image.name.removeprefix("linux-image-")
    modules = into / "lib/modules" / release
    _relocate(into / "usr/src" / headers.name, modules)
    # The modules of 6.12 are compressed, and not every insmod in a guest can unpack them.
    plain = ["find", str(modules), "-name", "*.ko.xz", "-exec", "xz", "-d", "{}", "+"]
    process.run(plain, f"kernel {series}: decompressing modules")
    process.run(["depmod", "-b", into, release], f"kernel {series}: indexing modules")
    (into / "release").write_text(f"{release}\n", encoding="utf-8")
    (into / "version").write_text(f"{image.version}\n", encoding="utf-8")


def _image(archive: Archive, series: str) -> Package:
    """The image of a series. It is found by the meta packages, because only their names stay the same.

    A Debian release has linux-image-amd64 for its own series, linux-image-SERIES-amd64 for others.
    """
    pattern = re.compile(rf"linux-image-{re.escape(series)}\.\d[^ ]*-amd64$")

    def images(package: Package) -> list[str]:
        return [name for name in package.depends if pattern.match(name)]

    meta = archive.find(
        f"linux-image-{series}-amd64",
        "linux-image-amd64",
        fits=lambda package: bool(images(package)),
    )
    return archive.find(images(meta)[0])


def _relocate(headers: Path, modules: Path) -> None:
    """Make the headers and the common headers find each other wherever the folder is.

    Debian's Makefile is one line with the absolute path of the common one. The links in the headers are
    relative already.
    """
    makefile = headers / "Makefile"
    line = makefile.read_text(encoding="utf-8")
    common = re.fullmatch(r"include /usr/src/([^/\s]+)/Makefile\s*", line)
    if common is None:
        raise LabError(f"{headers.name}/Makefile is not one include line but: {line.strip()[:60]}")
    beside = "$(dir $(lastword $(MAKEFILE_LIST)))"
    makefile.write_text(f"include {beside}../{common[1]}/Makefile\n", encoding="utf-8")
    for link, target in (("build", headers.name), ("source", common[1])):
        (modules / link).unlink(missing_ok=True)
        (modules / link).symlink_to(Path("../../../usr/src") / target)
