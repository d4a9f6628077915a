# SPDX-License-Identifier: GPL-2.0-only
"""The scenarios: which scripts of tests/guest run in which guest."""

from __future__ import annotations

from dataclasses import dataclass

ALL_KERNELS = ("6.1", "6.12", "kunit")
# Five scripts in one guest take longer than the usual limit on a busy machine.
WAKE = ("--timeout", "900", "--host-script", "tests/host/wake.py")


@dataclass(frozen=True)
class Scenario:
    """One guest. The module is not loaded by scripts/guest: the scripts do that, most of them several times."""

    name: str
    command: str
    options: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ALL_KERNELS


def scripts(*names: str, **environment: str) -> str:
    settings = "".join(f"{name}={value} " for name, value in environment.items())
    return f"{settings}sh /tests/run.sh {' '.join(names)}"


CHAOS = ("--host-script", "tests/host/clock_chaos.py")

# The kernel's own KUnit has printed a plan at boot, for no tests; the results are what follows the mark.
KUNIT = (
    "echo kvmpv_kunit begins > /dev/kmsg; insmod /kvmpv/kvmpv_kunit.ko;"
    " dmesg | sed '1,/kvmpv_kunit begins/d'"
)

SCENARIOS = (
    # The longest first, so that no core waits for it at the end.
    Scenario("rounds", scripts("rounds"), ("--timeout", "1200")),
    # `shared` before all others: it needs a guest in which nobody has named a clocksource yet.
    Scenario(
        "shared",
        scripts("shared", "hotplug", "vdso", "wall_clock", "drift", "watchdog", "suspend"),
        WAKE,
    ),
    Scenario(
        "owned",
        scripts(
            "nopv", "hotplug", "vdso", "wall_clock", "drift", "watchdog", "suspend", MODE="owned"
        ),
        (*WAKE, "--cmdline", "nopv"),
    ),
    Scenario("owned-1-cpu", scripts("nopv"), ("--cmdline", "nopv", "--smp", "1")),
    Scenario(
        "unstable",
        scripts("shared", "vdso", EXPECT_PATH="guarded", CLOCK="unstable"),
        ("--clock", "unstable"),
    ),
    Scenario("warp", scripts("warp"), ("--smp", "4")),
    Scenario("warp-owned", scripts("warp", MODE="owned"), ("--smp", "4", "--cmdline", "nopv")),
    Scenario(
        "warp-unstable",
        scripts("warp", EXPECT_PATH="guarded"),
        ("--smp", "4", "--clock", "unstable"),
    ),
    Scenario("no-stable-bit", scripts("no_stable_bit"), ("--cpu=-kvmclock-stable-bit",)),
    Scenario("no-kvmclock", scripts("no_kvmclock"), ("--cpu=-kvmclock",)),
    Scenario("off-kvm", scripts("off_kvm"), ("--cpu=kvm=off",)),
    Scenario(
        "sleep-by-host-clock",
        "sh /tests/sleep.sh",  # not by run.sh, which keeps the output until the end
        ("--host-script", "tests/host/sleep_by_host_clock.py"),
    ),
    # Not by run.sh: its requests to the host go out on stdout.
    Scenario("events-shared", "sh /tests/events.sh", CHAOS),
    Scenario(
        "events-owned",
        "MODE=owned sh /tests/events.sh",
        (*CHAOS, "--cmdline", "nopv"),
    ),
    Scenario("eoi-shared", scripts("eoi"), ("--timeout", "900")),
    Scenario("eoi-owned", scripts("eoi", MODE="owned"), ("--timeout", "900", "--cmdline", "nopv")),
    Scenario("eoi-stack", scripts("eoi_stack")),
    Scenario("eoi-rounds", scripts("eoi_rounds"), ("--timeout", "2400")),
    Scenario("eoi-rounds-owned", scripts("eoi_rounds"), ("--timeout", "2400", "--cmdline", "nopv")),
    Scenario("eoi-cpus-and-sleep", scripts("eoi_hotplug", "eoi_suspend"), WAKE),
    Scenario(
        "eoi-cpus-and-sleep-owned",
        scripts("eoi_hotplug", "eoi_suspend", MODE="owned"),
        (*WAKE, "--cmdline", "nopv"),
    ),
    # Not by run.sh, which keeps the output until the end: it is the virtio traffic.
    Scenario("eoi-million", "sh /tests/eoi_million.sh", ("--timeout", "1800")),
    Scenario(
        "eoi-million-owned",
        "MODE=owned sh /tests/eoi_million.sh",
        ("--timeout", "3000", "--cmdline", "nopv"),
    ),
    Scenario("eoi-not-offered", scripts("eoi_not_offered"), ("--cpu=-kvm-pv-eoi",)),
    Scenario("kunit-stable", KUNIT, kernels=("kunit",)),
    Scenario("kunit-unstable", KUNIT, ("--clock", "unstable", "--smp", "4"), kernels=("kunit",)),
)
