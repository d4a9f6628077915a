# SPDX-License-Identifier: GPL-2.0-only
"""How much each group of `make bench` measures."""

from __future__ import annotations

from dataclasses import dataclass

from lab.interrupt_ends import Amounts


@dataclass(frozen=True)
class Sizes:
    """The defaults are what the figures of docs/benchmarks.md were measured with."""

    rounds: int = 51
    stepped: int = (
        200  # times that the shortest of the calls is seen, unless 200 were stepped through before
    )
    # One read of a clock, in the kernel and in user space; slow: of one whose reads are exits.
    kernel_reads: int = 50_000
    slow_kernel_reads: int = 50
    user_reads: int = 200_000
    owned_user_reads: int = 100_000
    slow_user_reads: int = 300
    counted_reads: int = 1_000_000
    # While the host counts exits.
    exit_reads: int = 1_000_000
    slow_exit_reads: int = 10_000
    # The steal clocks. A turn of so many calls or trips is short against what disturbs it, and long against the clock.
    clock_rounds: int = 501
    calls: int = 2000
    batches: int = 11
    trips: int = 200
    # Counted trips. So short that no tick and no exit comes into many of the batches.
    counted: tuple[int, int, int] = (9, 301, 4)  # rounds, batches, trips
    ends: Amounts = Amounts()
    # The real CPU.
    least_seconds: float = 0.01


# The least that still fills every cell: two rounds, because whoever goes first in one goes last in the next, and so many
# batches that there is a lowest tenth.
SHORT = Sizes(
    rounds=2,
    stepped=2,
    kernel_reads=1000,
    slow_kernel_reads=5,
    user_reads=1000,
    owned_user_reads=1000,
    slow_user_reads=10,
    counted_reads=1000,
    exit_reads=10_000,
    slow_exit_reads=100,
    clock_rounds=2,
    calls=100,
    batches=1,
    trips=10,
    counted=(2, 5, 2),
    ends=Amounts(timers=20, self_ipis=40, other_ipis=10, writes=5),
    least_seconds=0.001,
)
