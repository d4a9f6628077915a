# SPDX-License-Identifier: GPL-2.0-only
"""Debian's package archive: finds packages and unpacks their files. Nothing is installed."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import LabError, cache, process

# From the package debian-archive-keyring, which every Debian with apt has.
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    depends: tuple[str, ...]  # names only, with all alternatives


class Archive:
    """The archive as apt sees it. With a suite of this machine and another one of the same mirror: only that other suite.

    The package lists are updated at most once, when they turn out to be old or missing. The lists of the other suite are
    kept in the cache, and the machine's own stay unchanged.
    """

    def __init__(self, own: str | None = None, other: str | None = None) -> None:
        # As root, apt would download as the user _apt, who may not write to our folders.
        self._options: list[str] = ["-o", "APT::Sandbox::User="] if os.geteuid() == 0 else []
        self._other = other
        if own is not None and other is not None:
            self._options += _other_suite(own, other)
        self._fresh = False

    def find(self, *names: str, fits: Callable[[Package], bool] = lambda package: True) -> Package:
        """The first of these packages that exists and fits."""
        while True:
            for package in filter(None, map(self._show, names)):
                if fits(package):
                    return package
            if not self._update():
                raise LabError(
                    f"apt knows no fitting package {' or '.join(names)}: check the network"
                )

    def needed_by(self, names: Sequence[str]) -> list[Package]:
        """These packages and all that they need. For an archive of another suite, in which nothing is installed."""
        while True:
            said = process.output(
                ["apt-get", *self._options, "-s", "--no-install-recommends", "install", *names]
            )
            found = re.findall(r"^Inst (\S+) \((\S+) ", said or "", re.MULTILINE)
            if found:
                return [Package(name, version, ()) for name, version in found]
            if not self._update():
                raise LabError(f"apt cannot install {' '.join(names)}: check the network")

    def unpack(
        self, choose: Callable[[], Sequence[Package]], into: Path, what: str
    ) -> Sequence[Package]:
        """Download the chosen packages and unpack their files below `into`.

        If the package lists name files that the archive no longer has, the packages are chosen again.
        """
        packages = choose()
        try:
            self._download(packages, into, what)
        except LabError:
            if not self._update():
                raise
            packages = choose()
            self._download(packages, into, what)
        for file in sorted((into / "packages").iterdir()):
            process.run(
                ["dpkg-deb", "-x", file, into], f"{what}: unpacking {file.name.split('_')[0]}"
            )
        shutil.rmtree(into / "packages")
        return packages

    def _show(self, name: str) -> Package | None:
        text = process.output(["apt-cache", *self._options, "show", "--no-all-versions", name])
        if not text:
            return None
        fields = dict(re.findall(r"^([\w-]+): (.*)$", text, re.MULTILINE))
        depends = re.findall(r"(?:^|[,|]) *([a-z0-9][^ ,|:]*)", fields.get("Depends", ""))
        return Package(name, fields["Version"], tuple(depends))

    def _download(self, packages: Sequence[Package], into: Path, what: str) -> None:
        store = into / "packages"
        shutil.rmtree(store, ignore_errors=True)
        store.mkdir()
        process.run(
            ["apt-get", *self._options, "-qq", "-o", "APT::Status-Fd=1", "download"]
            + [f"{package.name}={package.version}" for package in packages],
            f"{what}: downloading {len(packages)} packages",
            cwd=store,
            detail=_percent,
            machine_readable=True,
        )

    def _update(self) -> bool:
        """Update the package lists; as root, those of the machine. False if they have been updated before."""
        if self._fresh:
            return False
        self._fresh = True
        if self._other is None and os.geteuid() != 0:
            self._options = _private_state("apt")
        print("the package lists are too old or absent", file=sys.stderr)
        with cache.locked("apt"):
            process.run(["apt-get", *self._options, "-q", "update"], "updating the package lists")
        return True


def _private_state(name: str) -> list[str]:
    state = cache.folder() / name
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True, exist_ok=True)
    return ["-o", f"Dir::State={state}", "-o", f"Dir::Cache={state}/cache"]


def _other_suite(own: str, other: str) -> list[str]:
    """Settings with which apt knows only the suite `other`, from the mirror of `own`, with nothing installed or pinned."""
    form = [
        "--format",
        "$(REPO_URI)",
        f"Codename: {own}",
        "Component: main",
        "Created-By: Packages",
    ]
    mirrors = (process.output(["apt-get", "indextargets", *form]) or "").split()
    if not mirrors:
        raise LabError(f"apt has no mirror of {own} here, so none to ask for {other}")
    options = _private_state(f"apt-{other}")
    state = cache.folder() / f"apt-{other}"
    sources, status = state / "sources.list", state / "status"
    line = f"deb [signed-by={KEYRING}] {mirrors[0]} {other} main\n"
    if not sources.is_file() or sources.read_text(encoding="utf-8") != line:
        sources.write_text(line, encoding="utf-8")
    status.touch()
    nothing = ("sourceparts", "preferences", "preferencesparts")
    for setting in (
        f"Dir::Etc::sourcelist={sources}",
        f"Dir::State::status={status}",
        *(f"Dir::Etc::{name}=-" for name in nothing),
    ):
        options += ["-o", setting]
    return options


def _percent(line: str) -> str | None:
    """The percentage in a line of apt's progress: dlstatus:FILE:PERCENT:TEXT."""
    if not line.startswith("dlstatus:"):
        return None
    return f"{float(line.split(':')[2]):.0f}%"
