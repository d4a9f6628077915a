# SPDX-License-Identifier: GPL-2.0-only
"""The folder where slowly made things are kept: an entry is there whole or not at all.

    entries/NAME   finished, never changed again
    making/NAME    being made by the process that holds locks/NAME; without such a process, rubbish
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
    """The cache of this user: $KVMPV_CACHE, else kvmpv in the XDG cache folder."""
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
    """The entry, made first by `make` in a folder that is renamed into place when it is done."""
    place = folder() / "entries" / name
    if place.is_dir():
        return place
    with locked(name):
        if place.is_dir():  # made by the process that we waited for
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
    """Forget a finished entry."""
    with locked(name):
        doomed = _bare(name)
        (folder() / "entries" / name).rename(doomed)
        shutil.rmtree(doomed)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time is in here for this name. The lock ends with it, however it ends."""
    with (_folder("locks") / name).open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process that prepares {name}", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _bare(name: str) -> Path:
    """The place to make this entry in, cleared of a killed process's rest. Needs the lock."""
    making = _folder("making") / name
    if making.exists():
        shutil.rmtree(making)
    return making


def _sweep() -> None:
    """Remove what killed processes left of other entries: the half-made whose lock is free."""
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
