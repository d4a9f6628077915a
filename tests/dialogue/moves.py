#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The guest migrates to another QEMU, live and through a file, while timekeeping uses kvmpv, CPU 0 is idle and CPU 1
reads the clock without a pause. Then the module is unloaded and the guest migrates again: the host writes no memory
that was freed. MODE: shared or owned (nopv).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from at_once import AtOnce, is_told_by_a_read, is_told_by_poll
from canaries import record_pages
from lab.beside import AtRest
from talk import DEBUG, Table, Talk, contains, equal, within

CANARY = f"{DEBUG.removesuffix('kvmpv')}kvmpv_canary"
ASLEEP = 5  # seconds
# What a migration may leave in the events: the host says that the guest was paused, or the clock no longer fits the TSC, or
# both. Nothing else may have happened.
MARKS = ("events_pause", "events_jump_forward", "events_jump_backward")


def look(talk: Talk) -> dict[str, int]:
    """What the reader has seen since the last time."""
    words = talk.ask('kill -USR1 $reader; read -r seen <&4; echo "$seen"').split()
    return dict(zip(words[1::2], map(int, words[2::2]), strict=False))


def cpu0_time(talk: Talk) -> tuple[int, int]:
    """Busy and idle, in ticks."""
    words = talk.ask("grep '^cpu0 ' /proc/stat").split()
    user, nice, system, idle = map(int, words[1:5])
    return user + nice + system, idle


def counted(state: Table) -> tuple[int, int]:
    """Disruptions, and those of them that a migration may leave."""
    return state.number("disruptions", "value"), sum(state.number(name, "value") for name in MARKS)


def moves(talk: Talk, move: Callable[[AtRest], None], still_ms: int) -> None:
    """The guest is stopped for at least `still_ms`. The first read afterwards tells of it, without a tick's help."""
    talk.ask(f"echo 0 > {DEBUG}/steal/hook")
    first_read = AtOnce(talk, "read")
    talk.ask("all_msrs > /tmp/msrs.moving")
    disruptions, marks = counted(talk.table("clock/state"))
    busy, idle = cpu0_time(talk)
    began = time.monotonic()
    look(talk)
    before = first_read.count()
    moving = time.monotonic()
    move(first_read.ask)
    took = time.monotonic() - moving
    seen = look(talk)
    passed_ms = int((time.monotonic() - began) * 1000) + 1
    busy_then, idle_then = cpu0_time(talk)
    told = first_read.answer()
    first_read.end()
    talk.ask(f"echo 1 > {DEBUG}/steal/hook")
    print(f"{move.__name__}: {took * 1000:.0f} of {passed_ms} ms; {seen}")

    busy, idle = busy_then - busy, idle_then - idle
    within("disruptions that the first read has told", told - before, 1, 2)
    within("busy ticks of CPU 0, of 100", busy * 100 // (busy + idle + 1), 0, 20)
    within("reads", seen["kernel_reads"], 10_000, 10**9)
    equal("steps back", seen["kernel_backward"], 0)
    # The clock continues where it was: it advances by the host's time less the time that the guest was stopped. Its two
    # reads lie between the two reads of the host's clock, whose rate may differ by up to 500 ppm.
    most_ms = passed_ms + passed_ms // 1000 + 1 - still_ms
    within("ns that passed", seen["passed_ns"], 1_000_000, most_ms * 1_000_000)
    talk.ask("all_msrs | diff /tmp/msrs.moving -")
    equal("current", talk.ask("current_clocksource"), "kvmpv")
    # The CPU that sees it first makes an event. Another CPU makes none, or the other one of the two.
    talk.ask(f"counts_beyond disruptions {disruptions}")
    talk.ask("each_cpu_looks")
    print(talk.ask(f"cat {DEBUG}/events"))
    disruptions_then, marks_then = counted(talk.table("clock/state"))
    within("pauses and jumps", marks_then - marks, 1, 2)
    equal("disruptions", disruptions_then, disruptions + marks_then - marks)
    equal("steps back afterwards", look(talk)["kernel_backward"], 0)


def moves_at_once(talk: Talk, move: Callable[[AtRest], None], times: int) -> None:
    """As the moves above, that often, and only what the first read tells."""
    talk.ask(f"echo 0 > {DEBUG}/steal/hook")
    first_read = AtOnce(talk, "read")
    told = 0
    for _ in range(times):
        before = first_read.count()
        move(first_read.ask)
        told += first_read.answer() > before
    first_read.end()
    talk.ask(f"echo 1 > {DEBUG}/steal/hook")
    talk.report(f"{told} of {times} were told by a read at once: {move.__name__}")
    equal("told at once", told, times)


def main() -> None:
    talk = Talk()
    # Everything runs on CPU 1, so that CPU 0 stays halted.
    talk.ask("taskset -p 2 $$ > /dev/null")
    talk.ask(". /tests/life/canary.sh")
    talk.load("clock")
    talk.check("select_clocksource kvmpv", name="selects")
    wall = talk.ask("wall_clock_address")
    talk.check(contains, wall, "^0x[0-9a-f]*000$", name="wall_clock_was_seen")
    pages = record_pages(talk) if talk.mode == "owned" else []
    talk.ask("start_reader")
    # So that there is an earlier look with which a migration can be compared.
    talk.check("each_cpu_looks")
    talk.check(moves, talk, talk.beside.migrate_live, 0, name="moves_live")

    def save(at_rest: AtRest) -> None:
        talk.beside.migrate(ASLEEP, at_rest)

    talk.check(moves, talk, save, ASLEEP * 1000, name="is_restored_from_a_file")
    talk.check(lambda: equal("path", talk.state("path"), "stable"), name="still_stable")
    talk.check("rises_by_a_second", name="now_rises")
    talk.ask("kill $reader")
    talk.check(is_told_by_a_read, talk)
    talk.check(is_told_by_poll, talk)
    # Hours on a host that is emulated.
    if times := talk.number("echo ${MOVES:-0}"):

        def restore(at_rest: AtRest) -> None:
            talk.beside.migrate(at_rest=at_rest)

        talk.check(
            moves_at_once, talk, talk.beside.migrate_live, times, name="each_live_move_is_told"
        )
        talk.check(moves_at_once, talk, restore, times, name="each_restore_is_told")
    talk.ask(f"hold {wall} {' '.join(map(hex, pages))}")
    held = talk.number(f"wc -l < {CANARY}")
    # In owned mode CPU 0's clock record has a page of its own, and steal time has at least one page.
    expected = (4, 5) if talk.mode == "owned" else (1, 1)
    talk.check(within, "held", held, *expected, name="pages_are_held")
    talk.check("unload", name="unloads")
    talk.check("undone", name="everything_is_undone")
    talk.ask(f"echo fill > {CANARY}")
    talk.check("canary_can_die")
    talk.ask(f"echo fill > {CANARY}")
    talk.beside.migrate()
    talk.check(f"canaries_live {held}", name="nobody_writes_to_what_was_given_back")
    talk.check("undone", name="nothing_came_back")
    talk.finish()


if __name__ == "__main__":
    main()
