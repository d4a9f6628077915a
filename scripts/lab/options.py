# SPDX-License-Identifier: GPL-2.0-only
"""The options of a guest. scripts/guest and the tests use the same class, which checks its values."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab import LabError, shim
from lab.qemu import NAMES as QEMUS
from lab.qemu import chosen

TIMEOUT = 300.0
HOSTS = ("auto", "kvm", "nested")
CLOCKS = ("stable", "unstable")


@dataclass(frozen=True)
class Options:
    """The options of one run. Names and defaults are those of the command line."""

    command: str | None = None  # for sh -c; None: an interactive shell
    kernel: str = "6.12"
    cmdline: str = ""
    cpu: str = ""  # flags appended to host,-xsave,-avx,-avx2
    clock: str | None = None  # None: as on the host; stable on a nested one
    smp: int = 2
    mem: int = 512  # MB
    host: str = "auto"
    params: str = ""
    load: bool = True
    add: Sequence[str] = ()  # FILE or FILE:DEST
    qemu: Sequence[str] = ()
    host_kernel: str | None = None  # of an emulated host; None: any host will do
    host_qemu: Sequence[str] = ()  # more arguments for the QEMU that emulates the host
    lab_qemu: str = field(default_factory=chosen)  # which QEMU is used
    shim: str | None = None  # what the library between QEMU and KVM does: docs/guest.md
    host_script: str | Path | None = None
    exits: bool = False
    own_marks: bool = False  # COMMAND itself marks what is counted, and guest_init.sh does not
    allow_splat: Sequence[str] = ()
    timeout: float | None = TIMEOUT  # seconds from the start of the guest; None: for ever

    def __post_init__(self) -> None:
        for name in ("add", "qemu", "host_qemu", "allow_splat"):
            if isinstance(getattr(self, name), str):
                raise TypeError(f"{name} is a list of strings")
        for what, value, choices in (("host", self.host, HOSTS), ("clock", self.clock, CLOCKS)):
            if value is not None and value not in choices:
                raise LabError(f"--{what}: {value!r} is none of {', '.join(choices)}")
        if self.lab_qemu not in QEMUS:
            raise LabError(f"--lab-qemu: {self.lab_qemu!r} is none of {', '.join(QEMUS)}")
        for what, given in (("host-qemu", self.host_qemu), ("host-kernel", self.host_kernel)):
            if given and self.host == "kvm":
                raise LabError(f"--{what}: with --host kvm the host is not emulated")
        if self.smp < 1:
            raise LabError("--smp: a guest has at least one CPU")
        if self.mem < 128:
            raise LabError("--mem: a guest needs at least 128 MB")
        if self.timeout is not None and self.timeout <= 0:
            raise LabError("--timeout: it has to be more than 0 seconds")
        if self.command is not None and "\0" in self.command:
            raise LabError("COMMAND: it cannot hold a null byte")
        for pattern in self.allow_splat:
            try:
                re.compile(pattern)
            except re.error as error:
                raise LabError(f"--allow-splat: {pattern!r}: {error}") from error
        if self.shim is not None:
            shim.check(self.shim)
        self.cpu_flags()
        self.additions()
        self.script()

    def cpu_flags(self) -> list[str]:
        """The CPU flags without a leading "host,", which people type. Another model than host is an error."""
        text = self.cpu.removeprefix("host").removeprefix(",")
        flags = text.split(",") if text else []
        for flag in flags:
            if not re.fullmatch(r"[+-][\w.-]+|[\w.-]+=[\w.:-]+", flag):
                raise LabError(f"--cpu: {flag!r} is none of -FLAG, +FLAG, NAME=VALUE")
        return flags

    def additions(self) -> list[Addition]:
        return [Addition.parse(text) for text in self.add]

    def script(self) -> Path | None:
        if self.host_script is None:
            return None
        script = Path(self.host_script).absolute()
        if not script.is_file():
            raise LabError(f"--host-script: there is no file {self.host_script}")
        if not os.access(script, os.X_OK):
            raise LabError(f"--host-script: {self.host_script} is not executable")
        return script


@dataclass(frozen=True)
class Addition:
    """A file or a folder for the guest."""

    source: Path
    destination: str

    @staticmethod
    def parse(text: str) -> Addition:
        """FILE or FILE:DEST. DEST begins with a slash. If it also ends with one, it is the folder for FILE."""
        name, separator, rest = text.rpartition(":/")
        source = Path(name if separator else text)
        destination = f"/{rest}" if separator else "/root/"
        if not source.exists():
            raise LabError(f"--add: there is no {source}")
        if destination.endswith("/"):
            destination += source.absolute().name
        return Addition(source, destination)
