# SPDX-License-Identifier: GPL-2.0-only
"""The group `steal` of `make bench`: the steal clock, and what a change of task costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import median, quantiles

from tables import Row, compile_program, google_benchmark, in_guest, ratio, ratios, table

MODES: dict[str, Sequence[str]] = {"shared": (), "owned": ("--cmdline", "nopv")}
NATIVE = "kvm_steal_clock"
BASE = "not-loaded"
# A turn of so many calls or trips is short against what disturbs it, and long against the clock.
CLOCK_ROUNDS, CALLS = 501, 2000
BATCHES, TRIPS = 11, 200


Lines = Sequence[Sequence[str]]


def steal_clocks(title: str, lines: Lines) -> None:
    steps = {(words[1], words[2]): words[3] for words in lines if words[0] == "steps"}
    ns: dict[tuple[str, str], list[float]] = defaultdict(list)
    for words in lines:
        if words[0] == "timing":
            ns[words[2], words[1]].append(int(words[4]) / int(words[3]))
    rows: list[Row] = [
        (
            name,
            attribution,
            f"{median(values):.1f}",
            ratio(values, ns[NATIVE, attribution]),
            steps.get((name, attribution), "-"),
        )
        for (name, attribution), values in ns.items()
    ]
    rows.append(("at a change of task", "on", "-", "-", steps["sched_switch", "on"]))
    table(
        f"One answer of a steal clock, {title}; median of {CLOCK_ROUNDS} rounds",
        ("clock", "attribution", "ns", f"ratio to {NATIVE}", "instructions"),
        rows,
    )


def changes_of_task(title: str, rounds: int, lines: Lines) -> None:
    ns: dict[str, list[float]] = defaultdict(list)
    for words in lines:
        if words[0] == "turn":
            ns[words[1]].append(float(words[words.index("ns_per_trip") + 1]))

    def row(name: str, to: str) -> Row:
        found = ratios(ns[name], ns[to])
        low, middle, high = quantiles(found, n=4)
        return (name, f"{median(ns[name]):.0f}", to, f"{middle:.3f}", f"{low:.3f} to {high:.3f}")

    table(
        f"A trip through two pipes between two threads on one CPU, {title}; median of {rounds} rounds",
        ("attribution", "ns", "to", "ratio", "half of the rounds"),
        [row("again", BASE), row("off", BASE), row("on", BASE), row("on", "off")],
    )


def real_cpu(rounds: int) -> None:
    program = compile_program(
        "g++-12",
        "steal_user_space",
        ["-std=gnu++20", "-fno-exceptions", "-fcf-protection=branch", "-fno-pie", "-no-pie"]
        + ["-Iinclude", "bench/steal_user_space.cc", "src/steal_clock.cc", "-lbenchmark"],
    )
    ns = google_benchmark(program, rounds)
    rows = [
        (name, f"{value:.1f}", f"{value / ns['native']:.2f}")
        for name, value in sorted(ns.items(), key=lambda item: item[1])
    ]
    table(
        f"The same in user space on this machine's CPU; median of {rounds} repetitions",
        ("call", "ns of CPU time", "ratio to native"),
        rows,
    )


def tables(kernel: str, rounds: int) -> None:
    program = compile_program("gcc-12", "ping_pong", ["-static", "-pthread", "bench/ping_pong.c"])
    sizes = [CLOCK_ROUNDS, CALLS, rounds, BATCHES, TRIPS]
    for mode, options in MODES.items():
        lines = in_guest(kernel, "steal.sh", program, options, "all", *map(str, sizes))
        steal_clocks(f"{kernel}, {mode}", lines)
        changes_of_task(f"{kernel}, {mode}", rounds, lines)
    real_cpu(rounds)
