#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A thread on each CPU calls kvmpv's read callback while the guest migrates to another QEMU, live and through a file.
Time never goes back, neither on one CPU nor between CPUs. MODE: shared or owned (nopv). EXPECT_PATH: stable or guarded.
"""

from __future__ import annotations

from collections.abc import Callable

import ipi_calls
from talk import Talk, equal


def moves(talk: Talk, move: Callable[[], None]) -> None:
    disruptions = talk.count("disruptions")
    talk.ask("start_warp kvmpv 0")
    move()
    # The threads go on until each has read that often since.
    talk.ask("echo goal $READS > $BENCH/warp")
    talk.ask("no_steps")
    talk.ask(f"counts_beyond disruptions {disruptions}")
    talk.ask("each_cpu_looks")


def main() -> None:
    talk = Talk()
    talk.ask(". /tests/clock/warp_lib.sh")
    native = talk.ask("current_clocksource")
    talk.ask("insmod /kvmpv/kvmpv_bench.ko")
    talk.load("clock")
    path = talk.ask("echo ${EXPECT_PATH:-stable}")
    talk.check(lambda: equal("path", talk.state("path"), path), name="path")
    # Nothing of the moves, but it takes a guest of 4 CPUs.
    if talk.mode == "shared":
        ipi_calls.checks(talk)
    talk.check("select_clocksource kvmpv", name="selects")
    # So that there is an earlier look with which a migration can be compared.
    talk.check("each_cpu_looks")
    talk.check(moves, talk, talk.beside.migrate_live, name="moves_live")
    talk.check(moves, talk, lambda: talk.beside.migrate(3), name="moves_by_a_file")
    talk.check(
        lambda: equal("stable_revoked", talk.state("stable_revoked"), "no"),
        name="no_broken_promise",
    )
    talk.ask(f"select_clocksource {native}")
    talk.ask("rmmod kvmpv_bench")
    talk.unload()


if __name__ == "__main__":
    main()
