# SPDX-License-Identifier: GPL-2.0-only
"""The folder for what is slow to make. An entry is there as a whole or not at all.

    entries/NAME   finished; never changed again
    making/NAME    being made by the process that holds locks/NAME; garbage if there is no such process
    locks/NAME     never removed: a process that waits for a removed lock file would lock nothing
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import LabError


def folder() -> Path:
    """The cache of this user: $KVMPV_CACHE, or else kvmpv in the XDG cache folder."""
    chosen = os.environ.get("KVMPV_CACHE")
    general = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    place = Path(chosen or Path(general) / "kvmpv").absolute()
    if re.search(r"[\s:]", str(place)):
        raise LabError(f"kernels do not build below a path with spaces or colons: {place}")
    return place


def entries() -> list[Path]:
    """Every finished entry, oldest first."""
    home = folder() / "entries"
    return sorted(home.iterdir(), key=lambda e: e.stat().st_mtime) if home.is_dir() else []


def entry(name: str, make: Callable[[Path], None]) -> Path:
    """The entry. If there is none, `make` makes it in a folder that is then renamed into place."""
    place = folder() / "entries" / name
    if place.is_dir():
        return place
    with locked(name):
        if place.is_dir():  # the process that we waited for has made it
            return place
        _sweep()
        making = _bare(name)
        try:
            making.mkdir()
            make(making)
            os.utime(making)
            making.rename(_folder("entries") / name)
        except BaseException:
            print(f"removing the half-made {name}", file=sys.stderr)
            shutil.rmtree(making, ignore_errors=True)
            raise
    return place


def drop(name: str) -> None:
    """Remove a finished entry."""
    with locked(name):
        doomed = _bare(name)
        (folder() / "entries" / name).rename(doomed)
        shutil.rmtree(doomed)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Holds the lock of this name. Only one process can; the lock is freed however that process ends."""
    with (_folder("locks") / name).open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process that prepares {name}", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _bare(name: str) -> Path:
    """An empty folder to make this entry in, without what a killed process has left. Needs the lock."""
    making = _folder("making") / name
    if making.exists():
        shutil.rmtree(making)
    return making


def _sweep() -> None:
    """Remove half-made entries whose lock is free: what killed processes have left."""
    for rubbish in _folder("making").iterdir():
        with (_folder("locks") / rubbish.name).open("w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(rubbish)


def _folder(name: str) -> Path:
    path = folder() / name
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(f"cannot use the cache folder {path}: {error.strerror}") from error
    return path
