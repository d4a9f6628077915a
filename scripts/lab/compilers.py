# SPDX-License-Identifier: GPL-2.0-only
"""Small roots of other Debian releases, in which the module is compiled for their kernels.

Those kernels' kbuild tools and compilers need a newer libc than Debian 12's. A root is unpacked, not installed, and
entered by chroot in a mount namespace of its own, as any user.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from lab import cache
from lab.archive import Archive
from lab.debian_kernel import OWN
from lab.packages import tool

# By suite: the packages. What they need comes with them, and what every Debian has is named.
PACKAGES = {
    "trixie": "base-files libc-bin dash bash coreutils findutils grep sed mawk util-linux dpkg make g++-14 binutils"
    " pahole kmod libelf1t64 libssl3t64 zlib1g".split(),
}
# What installing would have made: the link, and where it leads.
LINKS = {"usr/bin/awk": "mawk"}
BOUND = "/dev /proc".split()

# The root is made anew in memory, so that nothing is written to the one in the cache: its own folders, and those that
# the build reads and writes, at the same paths. The arguments: the root, and what to run there.
ENTER = """\
set -eu
root=$1
shift
mount -t tmpfs -o mode=755 tmpfs "$root/boot"
cd "$root/boot"
for part in etc usr; do
	mkdir "$part"
	mount --bind "$root/$part" "$part"
	mount -o remount,bind,ro "$part"
done
cp -P "$root/bin" "$root/lib" "$root/lib64" "$root/sbin" .
mkdir -m 1777 tmp
for place in $BOUND; do
	mkdir -p ".$place"
	mount --rbind "$place" ".$place"
done
exec env -u BOUND chroot . sh -c 'cd "$0" && exec "$@"' "$FOLDER" "$@"
"""


def root(suite: str) -> Path:
    """The root. If the cache does not have it, its packages are downloaded and unpacked."""
    packages = PACKAGES[suite]
    mark = hashlib.sha256(" ".join((*packages, *LINKS)).encode()).hexdigest()[:12]

    def make(into: Path) -> None:
        archive = Archive(OWN, suite)
        archive.unpack(lambda: archive.needed_by(packages), into, f"compilers of {suite}")
        for link, target in LINKS.items():
            (into / link).parent.mkdir(parents=True, exist_ok=True)
            (into / link).symlink_to(target)
        (into / "release").write_text(f"{suite}\n", encoding="utf-8")
        (into / "version").write_text("compilers\n", encoding="utf-8")

    return cache.entry(f"compilers-{suite}-{mark}", make)


def inside(suite: str, command: Sequence[str | Path], *folders: Path) -> list[str]:
    """The words that run a command in the root, in the first of these folders, which are there as here."""
    places = dict.fromkeys([*BOUND, *(str(folder) for folder in folders)])
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    return [
        *("env", f"BOUND={' '.join(places)}", f"FOLDER={folders[0]}"),
        *("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEB_BUILD_ARCH=amd64"),
        *(str(tool("unshare")), "--mount", *user),
        *("sh", "-c", ENTER, "enter", str(root(suite)), *map(str, command)),
    ]
