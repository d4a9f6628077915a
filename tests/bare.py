#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The bare machine: follows README on a Debian 12 that has only git, make and python3.

usage: bare.py [--all] - with --all also what only `make check-all` runs

debootstrap makes its root, which is kept as an archive. Each use unpacks it into memory, in a mount and
process namespace of its own. All of it is gone with the last process, however that ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from built import ROOT, STOCK_KERNELS
from ktap import Case
from lab import LabError, cache, process
from lab.kernels import kernel
from lab.packages import USUAL, needed, tool
from lab.progress import Progress

RECIPE = "1"  # change it whenever tests/bare_root.sh makes a different root
SUITE = "bookworm"
SECURITY = f"{SUITE}-security"  # the only place that has 6.12
FIRST = ("git", "make", "python3")  # README: what a fresh machine needs first
FOLDER = ROOT / "build/bare"  # where the root is mounted in the namespace; outside it stays empty
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
PROXIES = ("http_proxy", "https_proxy", "no_proxy")
SHOWN = 40  # lines shown of a failure


@dataclass(frozen=True)
class Mirror:
    uri: str
    suite: str  # its name in the archive: bookworm, or a name like stable
    codename: str

    def line(self) -> str:
        return f"deb {self.uri} {self.suite} main"


def mirrors() -> list[Mirror]:
    """The mirrors from which apt gets Debian 12 on this machine."""
    fields = "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)|$(RELEASE)"
    asked = ["apt-get", "indextargets", "--format", fields, "Created-By: Packages"]
    found: dict[str, Mirror] = {}
    for line in (process.output(asked) or "").splitlines():
        origin, codename, component, uri, suite = line.split("|")
        wanted = codename in (SUITE, f"{SUITE}-updates", SECURITY)
        if origin == "Debian" and wanted and component == "main":
            found.setdefault(codename, Mirror(uri, suite, codename))
    for codename in (SUITE, SECURITY):
        if codename not in found:
            raise LabError(f"apt knows no {codename} here: see /etc/apt, run apt-get update")
    return list(found.values())


def settings() -> str:
    """The settings by which apt reaches the network on this machine."""
    dump = process.output(["apt-config", "dump"]) or ""
    found = re.findall(r"^Acquire::\w+::proxy(?:::\S+)? .*$", dump, re.MULTILINE | re.IGNORECASE)
    return "\n".join(found)


def as_root() -> list[str]:
    """The words in front of a command that needs root."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo is None:
        raise LabError("the bare machine takes root: run as root, or install the package sudo")
    return [sudo]


def in_namespaces(
    action: str, variables: Mapping[str, str], output: IO[bytes] | int, errors: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Runs tests/bare_root.sh as root. It ends when its standard input is closed, or before."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    proxies = [f"{name}={os.environ[name]}" for name in PROXIES if name in os.environ]
    settled = {"PATH": PATH, "FOLDER": str(FOLDER), "PROXIES": " ".join(proxies)}
    return subprocess.Popen(
        [*as_root(), "env"]
        + [f"{name}={value}" for name, value in {**settled, **variables}.items()]
        + [str(tool("unshare")), "--mount", "--pid", "--fork", "--kill-child"]
        + ["sh", str(ROOT / "tests/bare_root.sh"), action],
        env=process.environment(),
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=errors,
    )


def root_archive() -> Path:
    """The root before `make deps`. Makes it if the cache does not have it."""
    sources = mirrors()
    packages = sorted(package.name for package in needed(USUAL))
    parts = (RECIPE, *(mirror.line() for mirror in sources), *FIRST, *packages)
    name = f"bare-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:12]}"

    def make(into: Path) -> None:
        # A minimal Debian cannot fetch by https.
        https = any(mirror.uri.startswith("https:") for mirror in sources)
        variables = {
            "SUITE": SUITE,
            "MIRROR": next(mirror.uri for mirror in sources if mirror.codename == SUITE),
            "FIRST": ",".join([*FIRST, *(["ca-certificates"] if https else [])]),
            "SOURCES": "\n".join(mirror.line() for mirror in sources),
            "SETTINGS": settings(),
            "PACKAGES": " ".join(packages),
        }
        for command in ("debootstrap", "zstd"):
            tool(command)
        log = into / "log"
        with (into / "root.tar.zst").open("wb") as archive, log.open("wb") as said, Progress(
            "making the root of a bare machine"
        ), in_namespaces("make", variables, archive, said) as making:
            status = making.wait()
        if status != 0:
            raise LabError(f"making the root of a bare machine failed:\n{_end_of(log)}")
        (into / "release").write_text(f"{SUITE}\n", encoding="utf-8")
        (into / "version").write_text("before make deps\n", encoding="utf-8")

    return cache.entry(name, make) / "root.tar.zst"


def judge(everything: bool) -> list[Case]:
    """The results of tests/bare_inside.py."""
    try:
        as_root()
        archive = root_archive()
        folders = [str(cache.folder() / "entries" / kernel(name).name) for name in STOCK_KERNELS]
        variables = {
            "ARCHIVE": str(archive),
            "KERNELS": " ".join(folders),
            "COMMAND": "/kvmpv/tests/bare_inside.py" + (" --all" if everything else ""),
        }
        with tempfile.NamedTemporaryFile() as said:
            with in_namespaces("use", variables, subprocess.PIPE, said) as using:
                assert using.stdout is not None
                results = [Case(**json.loads(line)) for line in using.stdout]
                status = using.wait()
            return [*results, Case("to its end", status == 0, _end_of(Path(said.name)))]
    except LabError as error:
        return [Case("the root", False, str(error))]


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-SHOWN:])


def main() -> int:
    results = judge(everything=sys.argv[1:] == ["--all"])
    for case in results:
        print(f"{'ok' if case.passed else 'not ok'} {case.name}")
        if not case.passed:
            print(case.detail)
    return 0 if all(case.passed for case in results) else 1


if __name__ == "__main__":
    process.end_on_signals()
    sys.exit(main())
