# SPDX-License-Identifier: GPL-2.0-only
"""The scenarios: which script runs in which guest."""

from __future__ import annotations

from dataclasses import dataclass

ALL_KERNELS = ("6.1", "6.12", "kunit")


@dataclass(frozen=True)
class Scenario:
    name: str
    command: str
    options: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ALL_KERNELS
    # The scripts load the module themselves, most of them several times.
    load: bool = False

    @property
    def arguments(self) -> list[str]:
        return [*self.options, *(() if self.load else ("--no-load",))]


def script(name: str) -> str:
    return f"sh /tests/{name}.sh"


SCENARIOS = (
    Scenario("kunit-stable", "insmod /kvmpv/kvmpv_kunit.ko; dmesg", kernels=("kunit",)),
    Scenario(
        "kunit-unstable",
        "insmod /kvmpv/kvmpv_kunit.ko; dmesg",
        ("--clock", "unstable", "--smp", "4"),
        kernels=("kunit",),
    ),
    Scenario("shared", script("shared")),
    Scenario("unstable-host", f"EXPECT_PATH=guarded {script('shared')}", ("--clock", "unstable")),
    Scenario("no-stable-bit", script("no_stable_bit"), ("--cpu=-kvmclock-stable-bit",)),
    Scenario("no-kvmclock", script("no_kvmclock"), ("--cpu=-kvmclock",)),
    Scenario("off-kvm", script("off_kvm"), ("--cpu=kvm=off",)),
    Scenario("nopv-1-cpu", script("nopv"), ("--cmdline", "nopv", "--smp", "1")),
    Scenario("nopv-2-cpus", script("nopv"), ("--cmdline", "nopv")),
    Scenario(
        "sleep-by-host-clock",
        script("sleep"),
        ("--host-script", "tests/host/sleep_by_host_clock.py"),
    ),
    Scenario("hotplug-shared", script("hotplug")),
    Scenario("hotplug-owned", f"MODE=owned {script('hotplug')}", ("--cmdline", "nopv")),
    Scenario("vdso-shared", script("vdso")),
    Scenario("vdso-owned", f"MODE=owned {script('vdso')}", ("--cmdline", "nopv")),
    Scenario("vdso-unstable", f"CLOCK=unstable {script('vdso')}", ("--clock", "unstable")),
    Scenario("wall-clock-shared", script("wall_clock")),
    Scenario("wall-clock-owned", f"MODE=owned {script('wall_clock')}", ("--cmdline", "nopv")),
    Scenario("suspend-shared", script("suspend"), ("--host-script", "tests/host/wake.py")),
    Scenario(
        "suspend-owned",
        f"MODE=owned {script('suspend')}",
        ("--host-script", "tests/host/wake.py", "--cmdline", "nopv"),
    ),
    Scenario("rounds", script("rounds"), ("--timeout", "900")),
)
