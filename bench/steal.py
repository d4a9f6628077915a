# SPDX-License-Identifier: GPL-2.0-only
"""The group `steal` of `make bench`: the steal clock, and what a change of task costs."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import median, quantiles

from tables import Row, compile_program, google_benchmark, in_guest, ratio, ratios, table

from lab import LabError

MODES: dict[str, Sequence[str]] = {"shared": (), "owned": ("--cmdline", "nopv")}
NATIVE = "kvm_steal_clock"
BASE = "not-loaded"
# A turn of so many calls or trips is short against what disturbs it, and long against the clock.
CLOCK_ROUNDS, CALLS = 501, 2000
BATCHES, TRIPS = 11, 200
# So short that no tick and no exit comes into many of the batches.
COUNTED_ROUNDS, COUNTED_BATCHES, COUNTED_TRIPS = 9, 301, 4


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


def executed(kernel: str, program: Path, options: Sequence[str]) -> dict[str, list[float]]:
    """Instructions per trip of each batch, by state, as counted in the QEMU that emulates the host."""
    plugin = compile_program(
        "gcc-12", "executed_plugin.so", ["-shared", "-fPIC", "bench/executed_plugin.c"]
    )
    sizes = map(str, (COUNTED_ROUNDS, COUNTED_BATCHES, COUNTED_TRIPS))
    with tempfile.NamedTemporaryFile() as file:
        count = ["--host-qemu=-smp", "--host-qemu=1", "--smp", "1"]
        count += ["--host-qemu=-plugin", f"--host-qemu=file={plugin},out={file.name}"]
        lines = in_guest(kernel, "steal.sh", program, [*count, *options], "counted", *sizes)
        counts = [int(line) for line in Path(file.name).read_text(encoding="ascii").split()]
    turns = [words[1] for words in lines if words[0] == "turn"]
    in_turn = COUNTED_BATCHES + 1  # the first one of a turn is to get warm
    if len(counts) != len(turns) * in_turn:
        raise LabError(f"{len(counts)} batches were counted, of {len(turns)} times {in_turn}")
    found: dict[str, list[float]] = defaultdict(list)
    for turn, name in enumerate(turns):
        batches = counts[turn * in_turn + 1 : (turn + 1) * in_turn]
        found[name] += [batch / COUNTED_TRIPS for batch in batches]
    return found


def executed_by_changes_of_task(title: str, counts: dict[str, list[float]]) -> None:
    base = lowest_tenth(counts[BASE])
    rows: list[Row] = []
    for name in (BASE, "again", "off", "on"):
        more = difference(counts[name], counts[BASE])
        instructions = f"{lowest_tenth(counts[name]):.0f}"
        rows.append((name, instructions, f"{more:+g}", f"{1 + more / base:.4f}"))
    batches = COUNTED_ROUNDS * COUNTED_BATCHES
    table(
        f"Instructions executed by such a trip, {title}; lowest tenth of {batches} batches",
        ("attribution", "instructions", f"more than {BASE}", "ratio"),
        rows,
    )


def lowest_tenth(counts: Sequence[float]) -> float:
    """Nothing disturbs a batch by taking instructions away from it."""
    return quantiles(counts, n=10)[0]


def difference(ours: Sequence[float], base: Sequence[float]) -> float:
    """The most frequent difference between one of ours and one of base.

    What comes into a batch now and then (a tick, an exit, a branch in the kernel) makes peaks in both, in other shares each
    time, so that medians are apart by more than what is looked for. The peaks themselves are apart by just that.
    """
    apart: Counter[float] = Counter()
    for (a, times_a), (b, times_b) in product(Counter(ours).items(), Counter(base).items()):
        apart[a - b] += times_a * times_b
    return apart.most_common(1)[0][0]


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
    program = compile_program(
        "gcc-12", "ping_pong", ["-static", "-pthread", "-Ibench", "bench/ping_pong.c"]
    )
    sizes = [CLOCK_ROUNDS, CALLS, rounds, BATCHES, TRIPS]
    for mode, options in MODES.items():
        lines = in_guest(kernel, "steal.sh", program, options, "all", *map(str, sizes))
        steal_clocks(f"{kernel}, {mode}", lines)
        changes_of_task(f"{kernel}, {mode}", rounds, lines)
        executed_by_changes_of_task(f"{kernel}, {mode}", executed(kernel, program, options))
    real_cpu(rounds)
