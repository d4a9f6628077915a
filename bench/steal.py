# SPDX-License-Identifier: GPL-2.0-only
"""The group `steal` of `make bench`: the steal clock, and what a change of task costs."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median, quantiles

from sizes import Sizes
from tables import (
    NOTHING,
    Group,
    Lines,
    Row,
    compile_benchmark,
    compile_program,
    complete,
    google_benchmark,
    of,
    ratio,
    ratios,
    records,
)

from lab import LabError

MODES: dict[str, Sequence[str]] = {"shared": (), "owned": ("--cmdline", "nopv")}
NATIVE = "kvm_steal_clock"
BASE = "not-loaded"
STATES = (BASE, "again", "off", "on")
CLOCKS = (NATIVE, "kvmpv_steal_clock")
LOOPS = ("nothing", "rdtsc")


def steal_clocks(group: Group, title: str, lines: Lines) -> None:
    steps = {(name, state): count for name, state, count in records(lines, "steps", 3)}
    steps |= {(name, state): NOTHING for name in LOOPS for state in ("off", "on")}
    ns: dict[tuple[str, str], list[float]] = defaultdict(list)
    for state, name, calls, elapsed_ns in records(lines, "timing", 4):
        ns[name, state].append(int(elapsed_ns) / int(calls))
    names = set(product((*CLOCKS, *LOOPS), ("off", "on")))
    complete(ns, names, group.sizes.clock_rounds, "steal clocks")
    rows: list[Row] = [
        (
            name,
            attribution,
            f"{median(values):.1f}",
            ratio(values, ns[NATIVE, attribution]),
            of(steps, (name, attribution), "the number of steps"),
        )
        for (name, attribution), values in ns.items()
    ]
    told = of(steps, ("sched_switch", "on"), "the number of steps")
    rows.append(("at a change of task", "on", NOTHING, NOTHING, told))
    group.table(
        f"One answer of a steal clock, {title}; median of {group.sizes.clock_rounds} rounds",
        ("clock", "attribution", "ns", f"ratio to {NATIVE}", "instructions"),
        rows,
    )


def turns_of(lines: Lines, rounds: int) -> list[tuple[str, float]]:
    """The state and the nanoseconds per trip of each turn, in their order."""
    turns = [(name, float(ns)) for name, _, _, _, ns in records(lines, "turn", 5)]
    seen: dict[str, list[float]] = defaultdict(list)
    for name, ns in turns:
        seen[name].append(ns)
    complete(seen, STATES, rounds, "turns")
    return turns


def changes_of_task(group: Group, title: str, lines: Lines) -> None:
    rounds = group.sizes.rounds
    ns: dict[str, list[float]] = defaultdict(list)
    for name, ns_per_trip in turns_of(lines, rounds):
        ns[name].append(ns_per_trip)

    def row(name: str, to: str) -> Row:
        found = ratios(ns[name], ns[to])
        low, middle, high = quantiles(found, n=4)
        return (name, f"{median(ns[name]):.0f}", to, f"{middle:.3f}", f"{low:.3f} to {high:.3f}")

    group.table(
        f"A trip through two pipes between two threads on one CPU, {title}; median of {rounds} rounds",
        ("attribution", "ns", "to", "ratio", "half of the rounds"),
        [row("again", BASE), row("off", BASE), row("on", BASE), row("on", "off")],
    )


def executed(group: Group, found: Programs, options: Sequence[str]) -> dict[str, list[float]]:
    """Instructions per trip of each batch, by state, as counted in the QEMU that emulates the host."""
    rounds, batches, trips = counted(group.sizes)
    with tempfile.NamedTemporaryFile() as file:
        count = ["--host-qemu=-smp", "--host-qemu=1", "--smp", "1"]
        count += ["--host-qemu=-plugin", f"--host-qemu=file={found.plugin},out={file.name}"]
        lines = group.in_guest(
            *("steal.sh", found.ping_pong, [*count, *options], "counted"),
            *map(str, (rounds, batches, trips)),
        )
        counts = [int(line) for line in Path(file.name).read_text(encoding="ascii").split()]
    turns = turns_of(lines, rounds)
    in_turn = batches + 1  # the first one of a turn is to get warm
    if len(counts) != len(turns) * in_turn:
        raise LabError(f"{len(counts)} batches were counted, of {len(turns)} times {in_turn}")
    by_state: dict[str, list[float]] = defaultdict(list)
    for turn, (name, _) in enumerate(turns):
        turn_counts = counts[turn * in_turn + 1 : (turn + 1) * in_turn]
        by_state[name] += [count / trips for count in turn_counts]
    return by_state


def counted(sizes: Sizes) -> tuple[int, int, int]:
    return sizes.counted_rounds, sizes.counted_batches, sizes.counted_trips


def executed_by_changes_of_task(
    group: Group, title: str, counts: dict[str, list[float]]
) -> None:
    base = lowest_tenth(counts[BASE])
    rows: list[Row] = []
    for name in STATES:
        more = difference(counts[name], counts[BASE])
        instructions = f"{lowest_tenth(counts[name]):.0f}"
        rows.append((name, instructions, f"{more:+g}", f"{1 + more / base:.4f}"))
    batches = group.sizes.counted_rounds * group.sizes.counted_batches
    group.table(
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


def real_cpu(group: Group, program: Path) -> None:
    names = ("nothing", "rdtsc", "native", "kvmpv_steal_clock", "kvmpv_task_switch")
    ns = google_benchmark(program, names, group.sizes)
    rows = [
        (name, f"{value:.1f}", f"{value / ns['native']:.2f}")
        for name, value in sorted(ns.items(), key=lambda item: item[1])
    ]
    group.table(
        f"The same in user space on this machine's CPU; median of {group.sizes.rounds} repetitions",
        ("call", "ns of CPU time", "ratio to native"),
        rows,
    )


@dataclass(frozen=True)
class Programs:
    ping_pong: Path
    plugin: Path
    benchmark: Path


def programs() -> Programs:
    """All at first: one that does not compile is no reason to measure the rest."""
    return Programs(
        compile_program(
            "gcc-12", "ping_pong", ["-static", "-pthread", "-Ibench", "bench/ping_pong.c"]
        ),
        compile_program(
            "gcc-12", "executed_plugin.so", ["-shared", "-fPIC", "bench/executed_plugin.c"]
        ),
        compile_benchmark("steal_user_space", "src/steal/steal_clock.cc"),
    )


def tables_of(group: Group, found: Programs, mode: str) -> None:
    sizes = group.sizes
    amounts = (sizes.clock_rounds, sizes.calls, sizes.rounds, sizes.batches, sizes.trips)
    title = f"{group.kernel}, {mode}"

    def timed() -> None:
        lines = group.in_guest("steal.sh", found.ping_pong, MODES[mode], "all", *map(str, amounts))
        steal_clocks(group, title, lines)
        changes_of_task(group, title, lines)

    def in_instructions() -> None:
        executed_by_changes_of_task(group, title, executed(group, found, MODES[mode]))

    group.each(lambda work: work(), (timed, in_instructions))


def tables(group: Group) -> None:
    """The group `steal` of `make bench`."""
    found = programs()
    group.each(partial(tables_of, group, found), MODES)
    real_cpu(group, found.benchmark)
