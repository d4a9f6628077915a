# SPDX-License-Identifier: GPL-2.0-only
"""The group `steal` of `make bench`: the steal clock, and what a change of task costs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import median, quantiles

from plan import ROOT, Lines, Machine
from sizes import Sizes
from tables import (
    NOTHING,
    Group,
    Row,
    Tables,
    compile_benchmark,
    compile_program,
    complete,
    google_benchmark,
    guest_program,
    of,
    ratio,
    ratios,
    records,
)

from lab import LabError

MODES: dict[str, tuple[str, ...]] = {"shared": (), "owned": ("--cmdline", "nopv")}
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


def executed(sizes: Sizes, lines: Lines, counts: Sequence[int]) -> dict[str, list[float]]:
    """Instructions per trip of each batch, by state, as counted in the QEMU that emulates the host."""
    rounds, batches, trips = sizes.counted
    turns = turns_of(lines, rounds)
    in_turn = batches + 1  # the first one of a turn is to get warm
    if len(counts) != len(turns) * in_turn:
        raise LabError(f"{len(counts)} batches were counted, of {len(turns)} times {in_turn}")
    by_state: dict[str, list[float]] = defaultdict(list)
    for turn, (name, _) in enumerate(turns):
        turn_counts = counts[turn * in_turn + 1 : (turn + 1) * in_turn]
        by_state[name] += [count / trips for count in turn_counts]
    return by_state


def executed_by_changes_of_task(group: Group, title: str, counts: dict[str, list[float]]) -> None:
    base = lowest_tenth(counts[BASE])
    rows: list[Row] = []
    for name in STATES:
        more = difference(counts[name], counts[BASE])
        instructions = f"{lowest_tenth(counts[name]):.0f}"
        rows.append((name, instructions, f"{more:+g}", f"{1 + more / base:.4f}"))
    rounds, in_round, _ = group.sizes.counted
    group.table(
        f"Instructions executed by such a trip, {title}; lowest tenth of {rounds * in_round} batches",
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


def real_cpu(group: Group, ns: dict[str, float]) -> None:
    rows = [
        (name, f"{value:.1f}", f"{value / ns['native']:.2f}")
        for name, value in sorted(ns.items(), key=lambda item: item[1])
    ]
    group.table(
        f"The same in user space on this machine's CPU; median of {group.sizes.rounds} repetitions",
        ("call", "ns of CPU time", "ratio to native"),
        rows,
    )


def tables_of(group: Group, mode: str, ping_pong: Path, plugin: Path) -> Tables:
    sizes = group.sizes
    program = [f"{ping_pong}:/bench/"]
    timed = group.in_guest(
        Machine(MODES[mode]),
        "steal.sh all",
        *(sizes.clock_rounds, sizes.calls, sizes.stepped),
        *(sizes.rounds, sizes.batches, sizes.trips),
        files=program,
    )
    # The host that is emulated has one CPU, too, or the plugin would count what the other one does.
    file = group.plan.folder / f"executed-{mode}"
    host = ("-smp", "1", "-plugin", f"file={plugin},out={file}")
    counted = group.in_guest(
        Machine((*(f"--host-qemu={word}" for word in host), *MODES[mode]), cpus=1),
        "steal.sh counted",
        *sizes.counted,
        files=program,
    )

    def found() -> None:
        title = f"{group.kernel}, {mode}"
        steal_clocks(group, title, timed.result().lines)
        changes_of_task(group, title, timed.result().lines)
        lines = counted.result().lines
        counts = [int(line) for line in file.read_text(encoding="ascii").split()]
        executed_by_changes_of_task(group, title, executed(sizes, lines, counts))

    return found


def tables(group: Group) -> Tables:
    """The group `steal` of `make bench`."""
    # All at first: one that does not compile is no reason to measure the rest.
    ping_pong = guest_program(ROOT / "bench/ping_pong.c", "-pthread", "-Ibench")
    plugin = compile_program(
        "gcc-12", "executed_plugin.so", ["-shared", "-fPIC", "bench/executed_plugin.c"]
    )
    benchmark = compile_benchmark("steal_user_space", "src/steal/steal_clock.cc")
    in_guests = [tables_of(group, mode, ping_pong, plugin) for mode in MODES]
    names = ("nothing", "rdtsc", "native", "kvmpv_steal_clock", "kvmpv_task_switch")
    here = group.plan.here(lambda: google_benchmark(benchmark, names, group.sizes))

    def found() -> None:
        for one in in_guests:
            one()
        real_cpu(group, here.result())

    return found
