# SPDX-License-Identifier: GPL-2.0-only
"""The command line of scripts/guest."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from lab import LabError
from lab.host_root import HOST_KERNEL
from lab.options import TIMEOUT, Options
from lab.qemu import DEFAULT, NAMES, chosen

DESCRIPTION = """\
Boots a throw-away guest on real KVM, loads the module, runs COMMAND as root in it, and returns its exit status.
Without COMMAND: a shell at the terminal, or for the commands on stdin if that is no terminal."""

EPILOGUE = """\
exit status:
  COMMAND's own; 124 when the time was up; 125 when the guest, the host, the module or the host script failed, or when the
  guest's kernel complained; 2 for a wrong command line. docs/guest.md has the rest."""


@dataclass(frozen=True)
class Asked:
    """The options of the run, and what to do with its result."""

    options: Options
    quiet: bool
    verbose: bool
    log: Path | None
    exits_json: Path | None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def parse(words: Sequence[str]) -> Asked:
    parser = _arguments()
    found = parser.parse_args(words)
    command = found.command[1:] if found.command[:1] == ["--"] else found.command
    interactive = not command and sys.stdin.isatty()
    text = " ".join(command) if command or interactive else sys.stdin.read()
    timeout = found.timeout
    if timeout is None and not interactive:
        timeout = TIMEOUT
    try:
        options = Options(
            command=None if interactive else text,
            kernel=found.kernel,
            cmdline=found.cmdline,
            cpu=found.cpu,
            clock=found.clock,
            smp=found.smp,
            mem=found.mem,
            host=found.host,
            host_kernel=found.host_kernel,
            params=found.params,
            load=not found.no_load,
            add=tuple(found.add),
            qemu=tuple(found.qemu),
            host_qemu=tuple(found.host_qemu),
            lab_qemu=found.lab_qemu,
            shim=found.shim,
            host_script=found.host_script,
            exits=found.exits or found.exits_json is not None,
            own_marks=found.own_marks,
            allow_splat=tuple(found.allow_splat),
            timeout=timeout,
        )
    except LabError as error:
        parser.error(str(error))
    return Asked(options, found.quiet, found.verbose, found.log, found.exits_json)


def _arguments() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="scripts/guest",
        description=DESCRIPTION,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--kernel", default="6.12", metavar="6.1|6.12|kunit|FILE", help="default: 6.12")
    add("--cmdline", default="", metavar="STR", help="more for the guest's kernel command line")
    add(
        "--cpu",
        default="",
        metavar="FLAGS",
        help="more for -cpu host,-xsave,-avx,-avx2: --cpu=-kvm-pv-eoi",
    )
    add("--clock", metavar="stable|unstable", help="unstable: a host whose TSC is not relied on")
    add("--smp", type=int, default=2, metavar="N", help="CPUs of the guest (2)")
    add("--mem", type=int, default=512, metavar="MB", help="memory of the guest (512)")
    add("--host", default="auto", metavar="auto|kvm|nested", help="the KVM host (auto)")
    add("--params", default="", metavar="STR", help="parameters of the module")
    add("--no-load", action="store_true", help="do not load the module; /kvmpv/kvmpv.ko is there")
    add(
        *("--add",),
        action="append",
        default=[],
        metavar="FILE[:DEST]",
        help="put a file or folder into the guest, at DEST or in /root; programs come with libraries",
    )
    add("--qemu", action="append", default=[], metavar="ARG", help="one more argument of QEMU")
    add(
        *("--host-kernel",),
        metavar="6.1|6.12|7.3|FILE",
        help=f"the kernel of the KVM host, which is then nested (default: {HOST_KERNEL})",
    )
    add(
        *("--host-qemu",),
        action="append",
        default=[],
        metavar="ARG",
        help="one more argument of the QEMU that emulates the KVM host, which is then nested",
    )
    add(
        *("--lab-qemu",),
        default=chosen(),
        metavar="|".join(NAMES),
        help=f"the QEMU to run it all on ($KVMPV_QEMU, else {DEFAULT})",
    )
    add(
        *("--shim",),
        metavar="SPEC",
        help="feature bits and MSRs that the KVM host answers otherwise: '+17; refuse write 0x4b564d01 cpu 1'",
    )
    add("--host-script", metavar="FILE", help="a program to run on the KVM host beside the guest")
    add("--exits", action="store_true", help="count VM exits while COMMAND runs; table on stderr")
    add("--exits-json", type=Path, metavar="FILE", help="the same counts, as JSON into FILE")
    add(
        *("--own-marks",),
        action="store_true",
        help="COMMAND says when to count: from its write of a byte to port $KVMPV_MARK to that to the next port",
    )
    add(
        *("--allow-splat",),
        action="append",
        default=[],
        metavar="REGEX",
        help="do not fail for a kernel report with a line that matches",
    )
    add("--log", type=Path, metavar="FILE", help="write the guest's whole kernel log to FILE")
    add(
        *("--timeout",),
        type=float,
        metavar="S",
        help=f"seconds that the guest may take ({TIMEOUT:.0f}; a shell at the terminal: no limit)",
    )
    add("-q", "--quiet", action="store_true", help="say nothing about the progress")
    add("-v", "--verbose", action="store_true", help="show the guest's console on stderr")
    add("command", nargs=argparse.REMAINDER, metavar="[--] COMMAND", help="for sh -c in the guest")
    return parser
