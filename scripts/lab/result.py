# SPDX-License-Identifier: GPL-2.0-only
"""The result of a run, and whether it counts as a success."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab import splat
from lab.exits import Exits, window
from lab.options import Options
from lab.host_script import GRACE

TIME_UP = 124
FAILED = 125
HOST_PATIENCE = 300.0  # seconds for a KVM host to boot: 3 s on an idle machine, more than 2 minutes beside 20 others
SHOWN = 40  # lines of the console that are shown of a guest that ended without a report
SILENT = "The KVM host does not say where the guest stands."
LOADING = "guest: loading kvmpv.ko"  # guest_init.sh writes it to the kernel log


@dataclass
class Record:
    """Everything that a run has sent."""

    output: bytearray = field(default_factory=bytearray)
    errors: bytearray = field(default_factory=bytearray)
    console: bytearray = field(default_factory=bytearray)
    log: bytearray = field(default_factory=bytearray)
    beside: bytearray = field(default_factory=bytearray)
    host: str = ""  # output of the KVM host, if it failed
    end: Mapping[str, Any] = field(
        default_factory=dict
    )  # the result frame; {"end": ...} of our own without one


@dataclass(frozen=True)
class GuestResult:
    """`status` is COMMAND's own when `failure` is None, else 124 or 125."""

    status: int
    failure: str | None  # one line
    details: str  # the lines that show the failure
    output: bytes  # COMMAND's stdout
    errors: bytes  # COMMAND's stderr
    log: str  # the guest's kernel log, each line with its level: <4>[    1.234567] ...; what the console had, if it died
    console: str
    host_output: str  # what the host script printed
    host_script_ended: bool  # the host script ended before the guest did
    exits: Exits | None


def judge(options: Options, record: Record) -> GuestResult:
    console = plain(record.console)
    log = record.log.decode(errors="replace")
    status, failure, details = _verdict(options, record, console, log)
    exits = None
    if failure is None and options.exits:
        counted = record.end["exits"]
        exits = window(counted["begun"], counted["ended"], record.end["threads"])
    return GuestResult(
        status=status,
        failure=failure,
        details=details,
        output=bytes(record.output),
        errors=bytes(record.errors),
        log=log or console,
        console=console,
        host_output=record.beside.decode(errors="replace"),
        host_script_ended=not record.end.get("script", {"told": True})["told"],
        exits=exits,
    )


def plain(console: bytes | bytearray) -> str:
    """The console without cursor control: the firmware clears the screen, and lines end in CR LF."""
    text = console.decode(errors="replace")
    return re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[a-z])|\r", "", text)


def _verdict(
    options: Options, record: Record, console: str, log: str
) -> tuple[int, str | None, str]:
    end = record.end
    match end["end"]:
        case "timeout":
            failure = f"the guest did not end in {options.timeout:g} s"
            failure, details = _with_report(failure, options, console)
            return TIME_UP, failure, f"{details}\n{end.get('where', SILENT)}".strip()
        case "late":
            failure = f"the KVM host did not come up in {HOST_PATIENCE:g} s"
            return FAILED, failure, _last(record.host)
        case "host":
            return FAILED, f"the KVM host ended by itself ({_how_host(end)})", _last(record.host)
        case "broken":
            return FAILED, "the lab failed on the KVM host", end["said"].rstrip()
        case "died":
            failure = f"the guest ended without its end marker ({_how(end)})"
            return FAILED, *_with_report(failure, options, console)
        case "refused":
            failure = f"the module was refused (insmod: exit status {end['status']})"
            return FAILED, failure, _since_loading(log)
    script = end.get("script")
    if script is not None and not script["in_time"]:
        return FAILED, f"the host script did not end within {GRACE:g} s of being told to", ""
    if script is not None and script["status"] != 0:
        return FAILED, f"the host script failed ({_status(script['status'])})", ""
    reports = splat.find(log, options.allow_splat)
    # After the log was read only the console can show a report.
    seen = {report.headline for report in splat.find(log)}
    reports += [r for r in splat.find(console, options.allow_splat) if r.headline not in seen]
    if reports:
        failure = f"the guest's kernel complained: {reports[0].headline}"
        return FAILED, failure, "\n\n".join(map(str, reports))
    if "Linux version" not in log.split("\n", 1)[0]:
        return FAILED, "the guest's kernel log overflowed: a report may be lost", ""
    return end["status"], None, ""


def _with_report(failure: str, options: Options, console: str) -> tuple[str, str]:
    """The first report says why it ended; what follows from that would push it out of the last lines."""
    reports = splat.find(console, options.allow_splat)
    if not reports:
        return failure, "\n".join(console.splitlines()[-SHOWN:])
    return f"{failure}, after: {reports[0].headline}", "\n".join(reports[0].lines[:SHOWN])


def _how(end: Mapping[str, Any]) -> str:
    said = " ".join(end["qemu"].split())
    return f"QEMU: {_status(end['status'])}" + (f", {said}" if said else "")


def _how_host(end: Mapping[str, Any]) -> str:
    if end["status"] is None:
        return "it goes on, but its link is closed"
    return _status(end["status"]) + (", after a triple fault" if end.get("triple_fault") else "")


def _status(status: int) -> str:
    return f"exit status {status}" if status >= 0 else signal.Signals(-status).name


def _since_loading(log: str) -> str:
    lines = log.splitlines()
    marks = [number for number, line in enumerate(lines) if line.endswith(LOADING)]
    return "\n".join(lines[marks[-1] + 1 :]) if marks else ""


def _last(text: str) -> str:
    return "\n".join(plain(text.encode()).splitlines()[-SHOWN:])
