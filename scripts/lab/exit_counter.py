# SPDX-License-Identifier: GPL-2.0-only
"""Counts VM exits on the KVM host between the two port writes that mark COMMAND.

The kernel counts. Each event has a histogram, which is off at first, and a trigger on kvm_pio switches it on. An event cannot
have one trigger that switches a histogram on and another that switches it off. So there are two sets, each in a tracing instance
of its own: one counts from the first mark on, the other from the second. Their difference is COMMAND. Read them only after the
guest has stopped, or they disagree.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from lab.channels import BEGIN_MARK, END_MARK

TRACING = "/sys/kernel/tracing"
KEYS = {
    "kvm_exit": "common_pid,isa,exit_reason",
    "kvm_eoi": "common_pid,vector",
    "kvm_pv_eoi": "common_pid,vector",
}
MARKS = {"begun": BEGIN_MARK, "ended": END_MARK}


class ExitCounter:
    """Created before COMMAND begins, closed after the guest has ended."""

    def __init__(self, threads: Iterable[int]) -> None:
        ours = " || ".join(f"common_pid == {thread}" for thread in threads)
        self._instances = {
            mark: f"{TRACING}/instances/kvmpv-{os.getpid()}-{mark}" for mark in MARKS
        }
        for mark, port in MARKS.items():
            os.mkdir(self._instances[mark])
            for event, keys in KEYS.items():
                self._trigger(mark, event, f"hist:keys={keys}:pause")
                switch = f"enable_hist:kvm:{event} if rw == 1 && port == {port} && ({ours})"
                self._trigger(mark, "kvm_pio", switch)

    def read(self) -> dict[str, dict[str, str]]:
        """The histograms by mark and event, in the kernel's format."""
        return {mark: {event: self._histogram(mark, event) for event in KEYS} for mark in MARKS}

    def close(self) -> None:
        for instance in self._instances.values():
            os.rmdir(instance)  # removes its triggers, too

    def _trigger(self, mark: str, event: str, text: str) -> None:
        name = f"{self._instances[mark]}/events/kvm/{event}/trigger"
        with open(name, "a", encoding="ascii") as file:  # "w" would remove the other triggers
            file.write(text)

    def _histogram(self, mark: str, event: str) -> str:
        with open(f"{self._instances[mark]}/events/kvm/{event}/hist", encoding="ascii") as file:
            return file.read()
