#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the guest counts of its calls to several CPUs is what the host counts of KVM_HC_SEND_IPI. For a guest of 4 CPUs whose
kernel makes that hypercall.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from talk import DEBUG, Talk, equal, within

TRACING = Path("/sys/kernel/tracing/instances")
SEND_IPI = 10
CALLS = 2000
CPUS = 3  # of 4: a call to all others goes by the APIC's broadcast, without the hypercall


class Hypercalls:
    """A count of the guest's hypercalls, by the host's kernel."""

    def __init__(self) -> None:
        self._instance = TRACING / f"kvmpv-calls-{os.getpid()}"
        self._instance.mkdir()
        self._event = self._instance / "events/kvm/kvm_hypercall"
        (self._event / "trigger").write_text("hist:keys=nr", "ascii")

    def count(self, number: int) -> int:
        histogram = (self._event / "hist").read_text("ascii")
        found = re.findall(r"^\{ nr: +(\d+) \} hitcount: +(\d+)$", histogram, re.MULTILINE)
        return {int(nr): int(hits) for nr, hits in found}.get(number, 0)

    def close(self) -> None:
        self._instance.rmdir()


def counted(talk: Talk) -> int:
    """By the guest, without those that go by broadcast."""
    rows = talk.table("ipi/cpus").lines
    return sum(int(row["calls"]) - int(row["calls_to_all_others"]) for row in rows)


def off_at_first(talk: Talk) -> None:
    equal("on", talk.table("ipi/count").rows["on"]["value"], "no")
    equal("rows", talk.table("ipi/cpus").lines, [])


def counts_what_the_host_counts(talk: Talk) -> None:
    """However much comes in between, the guest's two looks lie between the host's outer ones and around its inner ones."""
    talk.ask(
        "dmesg | grep 'kvm-guest: setup PV IPIs' && dmesg | grep 'IPI shorthand broadcast: enabled'"
    )
    talk.ask(f"echo 1 > {DEBUG}/ipi/count")
    host = Hypercalls()
    outer = host.count(SEND_IPI)
    guest = counted(talk)
    inner = host.count(SEND_IPI)
    talk.ask(f"/tests/ipi_calls {CALLS} {CPUS}")
    inner = host.count(SEND_IPI) - inner
    guest = counted(talk) - guest
    outer = host.count(SEND_IPI) - outer
    host.close()
    talk.report(f"{CALLS} calls to 2 of 4 CPUs: guest {guest}, host {inner} to {outer}")
    within("calls", guest, inner, outer)
    # A call needs the hypercall only if both CPUs run the program at that moment, which the host's load decides.
    within("hypercalls", inner, CALLS // 10, CALLS * 2)


def off_again(talk: Talk) -> None:
    talk.ask(f"echo 0 > {DEBUG}/ipi/count")
    off_at_first(talk)
    talk.fails_with("nvalid", f"echo 2 > {DEBUG}/ipi/count")


def checks(talk: Talk) -> None:
    """With the module loaded."""
    talk.check(off_at_first, talk, name="no_calls_are_counted_at_first")
    talk.check(counts_what_the_host_counts, talk)
    talk.check(off_again, talk, name="no_calls_are_counted_any_more")


def main() -> None:
    talk = Talk()
    talk.load("clock")
    checks(talk)
    talk.unload()


if __name__ == "__main__":
    main()
