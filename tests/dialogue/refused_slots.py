#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The host refuses slots, one by one and on one CPU at a time, does not hear that they are cleared, and refuses the
clock's after sleep (--shim).

For owned mode: in shared mode the kernel's own writes would be refused, and it would warn. Two vCPUs.
"""

from __future__ import annotations

import time

from canaries import PAGE
from lab.beside import Access
from talk import Talk, contains, equal, within

MSRS = {"clock": 0x4B564D01, "steal": 0x4B564D03, "eoi": 0x4B564D04}
NAMES_OF_MSRS = {"clock": "system_time_new", "steal": "steal_time", "eoi": "eoi_en"}
# What unwinding must restore, in the lines of the probe. The clock's pointers are compared where nothing is loaded.
HOOKS = {
    "clock": "^hv_clock_per_cpu ",
    "steal": "pv_steal_clock|paravirt_steal_",
    "eoi": "apic eoi_write|apic_call_eoi",
}
FAILED = {
    "clock": "the clocksource could not be registered",
    "steal": "steal time could not be started",
    "eoi": "PV EOI could not be hooked",
}

# Every feature on every CPU once. Each time one is left that goes on.
ROUNDS: tuple[dict[str, int], ...] = (
    {"clock": 0, "steal": 1},
    {"clock": 1, "eoi": 0},
    {"steal": 0, "eoi": 1},
)
SERVED = 0x4B564D08
CPU1 = "/sys/devices/system/cpu/cpu1/online"
REFUSED = "the slot could not be taken"
KEPT = "the slot could not be given up, its memory stays"


class Errors:
    """What kvmpv has logged as an error."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._seen = len(self._all())

    def _all(self) -> list[str]:
        said = self._talk.ask("dmesg | sed -n 's/^.*\\] kvmpv: //p'")
        return [line for line in said.splitlines() if ": error " in line]

    def are(self, *expected: str) -> None:
        """In this order, since the last time."""
        lines = self._all()
        new, self._seen = lines[self._seen :], len(lines)
        equal("errors", new, list(expected))


def name(feature: str, cpu: int) -> str:
    """Of the rule that refuses this slot."""
    return f"{feature}{cpu}"


def slots_are_as_before(talk: Talk, feature: str) -> None:
    row = NAMES_OF_MSRS[feature]
    talk.ask(
        f"all_msrs > /tmp/msrs.now; for file in before now; do grep '^{row} ' /tmp/msrs.$file > /tmp/row.$file; done"
    )
    talk.ask("diff /tmp/row.before /tmp/row.now")


def hooks_are_as_before(talk: Talk, feature: str) -> None:
    talk.ask("hooks > /tmp/hooks.now")
    talk.ask(
        f"for file in before now; do grep -E '{HOOKS[feature]}' /tmp/hooks.$file > /tmp/hook.$file; done"
    )
    talk.ask("diff /tmp/hook.before /tmp/hook.now")


def loads_without(talk: Talk, errors: Errors, refused: dict[str, int]) -> None:
    talk.beside.switch_on(*(name(feature, cpu) for feature, cpu in refused.items()))
    talk.ask("load")
    said = []
    for feature, cpu in refused.items():
        said += [f"{feature}: {REFUSED} on CPU {cpu}: error -5", f"{FAILED[feature]}: error -5"]
    errors.are(*said)
    for feature in MSRS:
        mode = "off" if feature in refused else "owned"
        equal(f"mode of {feature}", talk.ask(f"mode {feature}"), mode)
    for feature in refused:
        equal("reason", talk.ask(f"reason {feature}").strip(), "a step failed; see the kernel log")
        slots_are_as_before(talk, feature)
        hooks_are_as_before(talk, feature)


def unloads(talk: Talk, errors: Errors) -> None:
    """The host still refuses. What it never knew needs no memory."""
    talk.ask("unload && undone")
    errors.are()


def cpu1_comes_without_slots(talk: Talk, errors: Errors) -> None:
    talk.ask(f"echo 0 > {CPU1}")
    talk.beside.switch_on(*(name(feature, 1) for feature in MSRS))
    talk.ask(f"echo 1 > {CPU1}")
    errors.are(*(f"{feature}: {REFUSED} on CPU 1: error -5" for feature in MSRS))
    for feature, msr in MSRS.items():
        equal(f"mode of {feature}", talk.ask(f"mode {feature}"), "owned")
        equal(f"slot of {feature}", talk.number(f"msr 1 {msr:#x}"), 0)


def tells_the_time(talk: Talk, cpu: int) -> None:
    """The kernel's clock there lies between two looks at it on the other CPU."""
    here, other = 1 << cpu, 2 >> cpu
    line = f"for mask in {other} {here} {other}; do taskset $mask cat /proc/uptime; done"
    times = [[float(row.split()[0]) for row in talk.ask(line).splitlines()] for _ in range(5)]
    for before, now, after in times:
        within(f"uptime on CPU {cpu}", now, before, after)
    within("uptime at last", times[-1][0], times[0][0] + 0.01, float("inf"))


def cpu1_writes_its_ends(talk: Talk) -> None:
    """Its word is no longer the host's, so every interrupt is ended by a write; its steal clock stands still."""

    def seen() -> tuple[int, int, int]:
        row = talk.table("eoi/cpus").rows["1"]
        steal_ns = talk.number("cell steal/cpus 1 steal_ns")
        return int(row["elided"]), steal_ns, int(row["written"])

    elided, steal_ns, written = seen()
    # A task that never sleeps has ticks.
    talk.ask("taskset 2 sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done'")
    after = seen()
    equal("elided and steal_ns", after[:2], (elided, steal_ns))
    within("written", after[2], written + 1, float("inf"))


def cpu1_comes_with_slots(talk: Talk, errors: Errors) -> None:
    talk.beside.switch_on()
    talk.ask(f"echo 0 > {CPU1} && echo 1 > {CPU1}")
    errors.are()
    for feature, msr in MSRS.items():
        equal(f"slot of {feature} is on", talk.number(f"msr 1 {msr:#x}") & 1, 1)


def sleeps(talk: Talk) -> tuple[int, int, int]:
    """What the clock shows before and after, and how many ns have passed in between."""
    began_ns = time.monotonic_ns()
    before_ns = talk.count("now_ns")
    talk.begin("echo mem > /sys/power/state")
    talk.beside.qmp.wait("SUSPEND")
    talk.beside.qmp.command("system_wakeup")
    equal("status and output", talk.end(), (0, ""))
    after_ns = talk.count("now_ns")
    return before_ns, after_ns, time.monotonic_ns() - began_ns


def cpu0_wakes_without_clock(talk: Talk, errors: Errors) -> None:
    """Asleep it keeps its slot, which the machine's reset clears. Awake it has none, and the clock goes on alone."""
    talk.beside.switch_on(name("clock", 0))
    before_ns, after_ns, passed_ns = sleeps(talk)
    errors.are(
        "clock: the slot could not be cleared before suspend on CPU 0: error -5",
        "clock: the slot could not be taken again after suspend on CPU 0: error -5",
    )
    within("now_ns", after_ns, before_ns, before_ns + passed_ns)
    equal(
        "slots of clock", [talk.number(f"msr {cpu} {MSRS['clock']:#x}") for cpu in (0, 1)], [0, 0]
    )
    equal("current", talk.ask("current_clocksource"), "kvmpv")
    equal("alone", talk.state("alone"), "yes")
    contains(talk.ask("cat $DEBUG/status"), "^The host has refused the clock's slot after sleep")
    equal("events", talk.count("events_record_refused"), 1)


def cpu0_wakes_with_clock(talk: Talk, errors: Errors) -> None:
    talk.beside.switch_on()
    sleeps(talk)
    errors.are()
    equal("alone", talk.state("alone"), "no")
    for cpu in (0, 1):
        equal(f"slot of CPU {cpu} is on", talk.number(f"msr {cpu} {MSRS['clock']:#x}") & 1, 1)
    equal("events", talk.count("events_record_refused"), 1)


def pages(talk: Talk) -> list[int]:
    """Those that the slots of both CPUs name."""
    cpus = talk.table("cpus")
    cells = [cell for what in MSRS for cell in cpus.column(f"{what}_pa")]
    return sorted({int(cell, 16) // PAGE * PAGE for cell in cells})


def unloads_unheard(talk: Talk, errors: Errors) -> None:
    """CPU 1's slots stay. All pages of a feature stay with one of its slots: the areas are whole."""
    talk.ask("insmod /kvmpv/kvmpv_canary.ko")
    held = pages(talk)
    within("pages", len(held), 4, 4)
    canary = "/sys/kernel/debug/kvmpv_canary"
    talk.ask("; ".join(f"echo hold {page:#x} > {canary}" for page in held))
    before = [talk.ask(f"msr 1 {msr:#x}") for msr in MSRS.values()]
    talk.beside.switch_on("unheard")
    talk.ask("unload")
    errors.are(*(f"{feature}: {KEPT} on CPU 1: error -5" for feature in ("eoi", "steal", "clock")))
    equal("slots", [talk.ask(f"msr 1 {msr:#x}") for msr in MSRS.values()], before)
    # Besides the canary's there is the one that nobody gives up.
    equal(
        "owners",
        talk.ask(f"sed 's/ changed .*//' {canary}").splitlines(),
        [f"{page:#x} refs 2" for page in held],
    )
    for feature in MSRS:
        if feature != "clock":
            hooks_are_as_before(talk, feature)


def clears_them_at_last(talk: Talk, errors: Errors) -> None:
    """What the slots held was foreign to this load, in memory that is the kernel's: so unloading clears them."""
    talk.beside.switch_on()
    talk.ask("unload && undone")
    talk.ask("rmmod kvmpv_canary")
    errors.are()


def serves_and_offers(talk: Talk) -> None:
    """The host has an MSR that neither QEMU nor KVM has, a value for each vCPU, and says so by CPUID."""
    shown = talk.ask("grep KVM_FEATURE_MIGRATION_CONTROL $DEBUG/features")
    equal("feature", shown.split(), ["eax", "17", "yes", "KVM_FEATURE_MIGRATION_CONTROL"])
    talk.ask(f"wrmsr -p 1 {SERVED:#x} 0")
    equal("values", talk.table("cpus").column("migration_control"), ["0x1", "0x0"])
    writes = [
        access for access in talk.beside.accesses() if access.is_write and access.msr == SERVED
    ]
    equal("writes", writes, [Access(True, 1, SERVED, 0, "served")])
    talk.ask(f"wrmsr -p 1 {SERVED:#x} 1")


def main() -> None:
    talk = Talk()
    talk.ask("remember")
    errors = Errors(talk)
    for refused in ROUNDS:
        which = "_".join(name(feature, cpu) for feature, cpu in refused.items())
        talk.check(loads_without, talk, errors, refused, name=f"loads_without_{which}")
        talk.check(unloads, talk, errors, name=f"unloads_after_{which}")
    talk.beside.switch_on()
    talk.check("load && select_clocksource kvmpv", name="loads")
    talk.check(serves_and_offers, talk)
    talk.check(cpu1_comes_without_slots, talk, errors)
    talk.check(tells_the_time, talk, 1, name="cpu1_tells_the_time")
    talk.check(cpu1_writes_its_ends, talk)
    talk.check(cpu1_comes_with_slots, talk, errors)
    talk.check(unloads_unheard, talk, errors)
    talk.beside.switch_on()
    talk.check("load && select_clocksource kvmpv", name="loads_on_slots_that_were_left")
    talk.check(cpu0_wakes_without_clock, talk, errors)
    for cpu in (0, 1):
        talk.check(tells_the_time, talk, cpu, name=f"cpu{cpu}_tells_the_time_alone")
    talk.check(cpu0_wakes_with_clock, talk, errors)
    for cpu in (0, 1):
        talk.check(tells_the_time, talk, cpu, name=f"cpu{cpu}_tells_the_time_again")
    talk.check(clears_them_at_last, talk, errors)
    talk.finish()


if __name__ == "__main__":
    main()
