# SPDX-License-Identifier: GPL-2.0-only
"""Finds reports of errors in a kernel log."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

# All patterns are matched at the beginning of a message, so that a message that quotes one ("Command line: ...") is no
# report.

# A line that matches one of these begins a report, even inside another one.
_BEGINS = re.compile(
    r"""
      BUG[:\ ]                          # page fault, scheduling while atomic, sleeping function, KASAN, SLUB, ...
    | WARNING:\                         # WARN(), lockdep, RCU
    | (watchdog|NMI\ watchdog):\ (BUG:|Watchdog\ detected)
    | kernel\ BUG\ at\                  # BUG()
    | Kernel\ panic\ -\                 # also without an oops before it
    | (rcu:\ )?INFO:\ rcu_\w+\ .*stall
    | rcu:\ rcu_\w+\ kthread\ starved
    | INFO:\ (task\ .*\ blocked\ for\ more | trying\ to\ register\ non-static | possible\ )
    | unchecked\ MSR\ access\ error
    | UBSAN:\  | KCSAN:\  | KFENCE:\ 
    | debugfs:\ .*\ already\ present
    """,
    re.VERBOSE,
)

# A line that matches one of these belongs to the current report. If there is none, it is a report itself.
_BELONGS = re.compile(
    r"""
      .*:\ [0-9a-f]{4}\ \[\#\d+\]       # every oops: general protection fault, divide error, ...
    | (traps:\ )?PANIC:\ 
    | list_(add|del)\ corruption
    | refcount_t:\  | DEBUG_LOCKS_WARN_ON | ODEBUG:\ 
    | (possible\ (circular|recursive)\ locking | inconsistent\ lock\ state | held\ lock\ freed | bad\ unlock\ balance)
    | (suspicious\ RCU\ usage | RCU\ used\ illegally)
    | Call\ Trace:
    """,
    re.VERBOSE,
)

# After "cut here" comes the message of WARN()'s caller, and only then the line that begins other reports.
_CUT = re.compile(r"-+\[ cut here \]-+")
_ENDS = re.compile(r"-+\[ end (trace|Kernel panic)")

# "[   12.345678] ", or with a level in front and the caller behind: "<4>[   12.345678][  T123] ".
_STAMP = re.compile(r"(?:<\d+>)?\[ *(\d+\.\d+)\](?:\[ *[TC]\d+\])? ?")

LONGEST = 120  # lines kept of one report; KASAN's show call traces and the memory around
PAUSE = 2.0  # seconds: a message after such a pause does not belong to the report
BEFORE = 6  # lines kept from before a bare stack dump, which follows its reason


@dataclass
class Splat:
    """One report: its lines without levels, and the line that says what it is."""

    headline: str
    lines: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join(self.lines)


def find(log: str, allowed: Sequence[str] = ()) -> list[Splat]:
    """All reports in a log, except those with a line that matches an allowed regular expression."""
    patterns = [re.compile(pattern) for pattern in allowed]
    return [
        report
        for report in _reports(log.splitlines())
        if not any(pattern.search(line) for pattern in patterns for line in report.lines)
    ]


def _reports(lines: Sequence[str]) -> Iterator[Splat]:
    report: Splat | None = None
    just_cut = False  # the line that begins the report is still to come
    recent: list[str] = []
    last = 0.0
    for line in lines:
        stamp = _STAMP.match(line)
        message = line[stamp.end() :] if stamp else line
        now = float(stamp[1]) if stamp else last
        begins = _BEGINS.match(message) is not None
        cut = _CUT.match(message) is not None
        if report is not None and (now - last > PAUSE or cut or (begins and not just_cut)):
            yield report
            report, just_cut = None, False
        if report is None and (begins or cut):
            report = Splat(message)
        elif report is None and _BELONGS.match(message):
            report = Splat(message, recent[-BEFORE:])
        elif report is not None and begins:
            report.headline = message
        just_cut = cut or (just_cut and not begins)
        last = now
        text = re.sub(r"^<\d+>", "", line)
        recent = [*recent[1 - BEFORE :], text]
        if report is not None and len(report.lines) < LONGEST:
            report.lines.append(text)
        if report is not None and _ENDS.match(message):
            yield report
            report = None
    if report is not None:
        yield report
