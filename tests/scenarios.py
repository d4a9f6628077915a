# SPDX-License-Identifier: GPL-2.0-only
"""The scenarios: which scripts of tests/guest run in which guest."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab import qemu
from lab.debian_kernel import of_tier

WHOLE = of_tier("whole")
PART = of_tier("part")
STOCK_KERNELS = (*WHOLE, *PART)
DEBUG_KERNELS = ("kunit", "kasan")
ALL_KERNELS = (*STOCK_KERNELS, *DEBUG_KERNELS)
# Those on which only the scenario `everywhere` runs.
OTHER_KERNELS = of_tier("build")
OTHER_QEMU = next(name for name in qemu.NAMES if name != qemu.DEFAULT)
# Five scripts in one guest exceed the usual limit on a busy machine.
WAKE = ("--timeout", "1800", "--host-script", "tests/host/wake.py")


# The guest's part of a dialogue. The program of tests/dialogue runs on its host.
AGENT = "sh /tests/agent.sh"


@dataclass(frozen=True)
class Scenario:
    """One guest. scripts/guest does not load the module: the scripts do, most of them several times."""

    name: str
    command: str
    options: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ALL_KERNELS
    # The kernels of `make check`; `make check-all` uses all of `kernels`. In `make check` a long scenario runs on
    # one kernel, and its counterpart in the other mode on the other kernel.
    check: tuple[str, ...] = field(kw_only=True)
    # Those on which it cannot run, of which one would expect it. Why it cannot is shown in docs/kernels.md.
    cannot: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert not set(self.cannot) & {*self.kernels, *self.check}, self.name

    @property
    def is_dialogue(self) -> bool:
        """The results come from the host's side."""
        return self.command.endswith(AGENT)

    def kernels_of(self, everything: bool) -> tuple[str, ...]:
        return self.kernels if everything else tuple(k for k in self.kernels if k in self.check)


def scripts(*names: str, **environment: str) -> str:
    settings = "".join(f"{name}={value} " for name, value in environment.items())
    return f"{settings}sh /tests/run.sh {' '.join(names)}"


def contending(*names: str, **environment: str) -> str:
    """Like scripts(), on vCPUs that share one host CPU. Waits until the host script says that they do."""
    return f"read -r shared <&9 && {scripts(*names, **environment)}"


def dialogue(name: str) -> tuple[str, str]:
    return ("--host-script", f"tests/dialogue/{name}.py")


# A dialogue sets the host's clock, so the host must not be this machine.
CLOCK_IS_SET = ("--host", "nested")

# Steal has to be made: if the host has as many CPUs as the guest, no vCPU waits.
ONE_CPU = ("--host-script", "tests/host/one_cpu.py")

# More than ten million reads. Without paravirtual clocks the debug kernel takes a minute to boot.
WARP = ("--smp", "4", "--timeout", "900")


ROUNDS = (*ONE_CPU, "--timeout", "3600")

# What the guest writes to it survives a restart of the guest, but not the end of QEMU.
DISK = ("--qemu=-drive", "--qemu=file={disk},if=virtio,format=raw,snapshot=on,file.locking=off")
# For what takes more than a few minutes on a busy machine.
PATIENT = ("--timeout", "900")
# Without hpet, for which an emulated guest leaves at each look: with it, nopv takes many minutes on a busy machine.
NOPV_ON_TSC = "nopv tsc=reliable tsc_early_khz={tsc_khz}"
README = ("--add", "README.md:/tests/README.md")
PTP = ("--add", "{modules}/kernel/drivers/ptp/ptp_kvm.ko:/tests/ptp_kvm.ko")

ALL_OF_THE_CLOCK = (
    "life/hotplug",
    "clock/vdso",
    "clock/wall_clock",
    "clock/drift",
    "clock/pairing",
    "clock/watchdog",
    "life/suspend",
)

# A host that refuses a slot of CPU 0's or CPU 1's, or does not hear that CPU 1 clears one; with migration control.
SLOTS = {"clock": "0x4b564d01", "steal": "0x4b564d03", "eoi": "0x4b564d04"}
REFUSING = "; ".join(
    f"refuse write {msr} cpu 0 when {slot}0; refuse write {msr} cpu 1 when {slot}1; ignore {msr} cpu 1 when unheard"
    for slot, msr in SLOTS.items()
)
REFUSING += "; +17; serve 0x4b564d08 1"

# A host that has migration control, and refuses or ignores what is written when it is told to.
HOLDING = (
    "+17; refuse write 0x4b564d08 when refuses; ignore 0x4b564d08 when ignores; serve 0x4b564d08 1"
)
# The dialogue starts another kernel at last.
HOLDS = (
    *dialogue("migration"),
    *("--shim", HOLDING, "--timeout", "1800"),
    *("--add", "{image}:/tests/kernel"),
)

# At boot the kernel's KUnit prints a plan for no tests. The results follow the mark.
KUNIT = (
    "echo kvmpv_kunit begins > /dev/kmsg; insmod /kvmpv/kvmpv_kunit.ko;"
    " dmesg | sed '1,/kvmpv_kunit begins/d'"
)

SCENARIOS = (
    # The longest ones come first, so that no core is idle while it waits for one at the end.
    # 60 rounds. What leaks a little, 200 show; they take a quarter of an hour on an idle machine.
    Scenario("rounds-shared", contending("life/rounds"), ROUNDS, check=("6.12",)),
    Scenario("rounds-200-shared", contending("life/rounds", ROUNDS="200"), ROUNDS, check=()),
    # With hpet every clock read is an exit. Then 200 rounds under a storm take more than half an hour in an
    # emulated host, so this guest keeps time by its TSC.
    Scenario(
        "rounds-200-owned",
        contending("life/rounds", MODE="owned", ROUNDS="200"),
        (*ROUNDS, "--cmdline", NOPV_ON_TSC),
        check=(),
    ),
    # `shared` comes first: it needs a guest in which nobody has written current_clocksource yet.
    Scenario(
        "shared",
        scripts(
            "slot/shared",
            "slot/msr_tools",
            "files/documented",
            "files/tool",
            "async_pf/switch",
            *ALL_OF_THE_CLOCK,
            "life/readme",
        ),
        (*WAKE, *README),
        check=("6.12", "kunit"),
    ),
    Scenario(
        "owned",
        scripts("slot/nopv", "slot/msr_tools", "async_pf/switch", *ALL_OF_THE_CLOCK, MODE="owned"),
        (*WAKE, "--cmdline", "nopv"),
        check=("6.1",),
    ),
    Scenario(
        "owned-1-cpu",
        scripts("slot/nopv"),
        ("--cmdline", "nopv", "--smp", "1"),
        check=("6.12",),
    ),
    Scenario(
        "owned-acpi-pm",
        # readme comes first: in slot/nopv the user chooses a clocksource, and then the kernel does not.
        # tool comes last: it needs a kernel that stays on acpi_pm.
        scripts(
            "life/readme",
            "slot/nopv",
            "files/tool",
            MODE="owned",
            BEFORE="acpi_pm",
            FIRES="slow-clock",
            MENDED="'slow-clock vdso-off'",
        ),
        (*README, "--cmdline", "nopv hpet=disable"),
        check=("6.12",),
    ),
    Scenario(
        "unstable",
        scripts(
            "slot/shared",
            "clock/vdso",
            "clock/tsc_aux",
            "clock/pairing",
            "files/tool",
            EXPECT_PATH="guarded",
            CLOCK="unstable",
        ),
        (*PATIENT, "--clock", "unstable"),
        check=("6.12",),
    ),
    Scenario("warp", scripts("clock/warp"), WARP, check=("6.12",)),
    Scenario(
        "warp-owned", scripts("clock/warp", MODE="owned"), (*WARP, "--cmdline", "nopv"), check=()
    ),
    Scenario(
        "warp-unstable",
        scripts("clock/warp", EXPECT_PATH="guarded"),
        (*WARP, "--clock", "unstable"),
        check=(),
    ),
    # The emulated host's CPU does not claim an invariant TSC, so QEMU would drop the flag if it were not forced.
    Scenario(
        "good-tsc-shared",
        scripts("clock/good_tsc"),
        ("--cpu=+invtsc,x-force-features=on",),
        check=("6.1",),
    ),
    Scenario(
        "good-tsc-owned",
        scripts("clock/good_tsc", MODE="owned"),
        (
            "--cpu=+invtsc,x-force-features=on",
            "--cmdline",
            NOPV_ON_TSC,
        ),
        check=("6.12",),
    ),
    Scenario(
        "no-stable-bit",
        scripts("clock/no_stable_bit"),
        ("--cpu=-kvmclock-stable-bit",),
        check=("6.12",),
    ),
    # With the other QEMU the emulated host has another number of CPUs, so that vCPUs take turns in one of these
    # two scenarios and run at once in the other.
    Scenario(
        "no-stable-bit-other-qemu",
        scripts("clock/no_stable_bit"),
        ("--cpu=-kvmclock-stable-bit", "--lab-qemu", OTHER_QEMU),
        check=(),
    ),
    Scenario(
        "no-stable-bit-no-rdtscp",
        scripts("clock/no_stable_bit", "life/hotplug"),
        ("--cpu=-kvmclock-stable-bit,-rdtscp",),
        check=("6.1",),
    ),
    Scenario(
        "debugfs-off",
        scripts("files/no_debugfs"),
        (*PATIENT, "--cmdline", "debugfs=off"),
        check=("6.12",),
    ),
    Scenario(
        "debugfs-off-owned",
        scripts("files/no_debugfs", MODE="owned"),
        (*PATIENT, "--cmdline", f"{NOPV_ON_TSC} debugfs=off"),
        check=(),
    ),
    Scenario(
        "debugfs-no-mount",
        scripts("files/no_debugfs", ERROR="-2"),
        (*PATIENT, "--cmdline", "debugfs=no-mount"),
        check=(),
    ),
    # A kernel that was built without it.
    Scenario(
        "debugfs-none",
        scripts("files/no_debugfs", ERROR="-19"),
        PATIENT,
        kernels=("no-debugfs",),
        check=(),
    ),
    Scenario(
        "debugfs-none-owned",
        scripts("files/no_debugfs", MODE="owned", ERROR="-19"),
        (*PATIENT, "--cmdline", NOPV_ON_TSC),
        kernels=("no-debugfs",),
        check=(),
    ),
    # The debug kernel has no lockdown.
    Scenario("lockdown", scripts("files/lockdown"), PATIENT, STOCK_KERNELS, check=("6.12",)),
    # The debug kernel has no perf events.
    Scenario("tracers", scripts("files/tracers"), PATIENT, STOCK_KERNELS, check=("6.12",)),
    Scenario("unbind", scripts("clock/unbind", "clock/lone_judge"), PATIENT, check=PART),
    # lockdown last: no module of ours can be loaded after it.
    Scenario(
        "unbind-lockdown-owned",
        scripts("clock/unbind", "files/lockdown", MODE="owned"),
        (*PATIENT, "--cmdline", NOPV_ON_TSC),
        STOCK_KERNELS,
        check=(),
    ),
    # No hpet, no acpi_pm, no tsc; its rate is what the local APIC's timer then lives from.
    Scenario(
        "only-clock",
        scripts("clock/only_clock"),
        (*PATIENT, "--cmdline", "nopv hpet=disable pmtmr=0 tsc=unstable tsc_early_khz={tsc_khz}"),
        kernels=(*WHOLE, *DEBUG_KERNELS),
        check=("6.12",),
        cannot=dict.fromkeys(PART, "it keeps the module for good: [limits.md](limits.md)"),
    ),
    # The debug kernel has no ptp_kvm.
    Scenario("ptp", scripts("clock/ptp"), (*PATIENT, *PTP), STOCK_KERNELS, check=("6.1",)),
    Scenario(
        "ptp-owned",
        scripts("clock/ptp", MODE="owned"),
        (*PATIENT, *PTP, "--cmdline", NOPV_ON_TSC),
        STOCK_KERNELS,
        check=(),
    ),
    Scenario(
        "chrony",
        scripts("clock/chrony"),
        (*PATIENT, *PTP, "--add", "{chronyd}:/usr/sbin/chronyd"),
        STOCK_KERNELS,
        check=(),
    ),
    Scenario(
        "no-kvmclock",
        scripts("slot/no_kvmclock", "halt_poll/not_offered"),
        ("--cpu=-kvmclock,-kvm-poll-control",),
        check=("6.12",),
    ),
    Scenario("off-kvm", scripts("slot/off_kvm"), ("--cpu=kvm=off",), check=("6.1",)),
    Scenario(
        "sleep-by-host-clock",
        AGENT,
        (*dialogue("sleep"), *CLOCK_IS_SET),
        check=("6.12",),
    ),
    Scenario(
        "pairing-owned",
        f"MODE=owned {AGENT}",
        (*dialogue("pairing"), *CLOCK_IS_SET, "--cmdline", NOPV_ON_TSC),
        check=(),
    ),
    Scenario(
        "sleep-by-host-clock-owned",
        f"MODE=owned {AGENT}",
        (*dialogue("sleep"), *CLOCK_IS_SET, "--cmdline", "nopv"),
        check=(),
    ),
    # legacy comes last: it makes the host withdraw its promise of a stable clock.
    Scenario(
        "no-kvmclock-word",
        scripts("slot/no_kvmclock_word", "life/hotplug", "clock/legacy", MODE="owned"),
        ("--cmdline", "no-kvmclock"),
        check=("6.12",),
    ),
    Scenario("cleared-slots", scripts("slot/cleared_slots"), check=("6.12",)),
    Scenario(
        "refused-slots",
        f"MODE=owned {AGENT}",
        (*dialogue("refused_slots"), "--cmdline", NOPV_ON_TSC, "--shim", REFUSING)
        + ("--timeout", "1800"),
        check=(),
    ),
    Scenario("moves-shared", AGENT, (*dialogue("moves"), "--mem", "256"), check=("6.1",)),
    Scenario(
        "moves-owned",
        f"MODE=owned {AGENT}",
        (*dialogue("moves"), "--mem", "256", "--cmdline", "nopv"),
        check=("6.12",),
    ),
    # 50 more, live and through a file, of which each has to be told by the first read.
    Scenario(
        "moves-50-shared",
        f"MOVES=50 {AGENT}",
        (*dialogue("moves"), "--mem", "256", "--timeout", "14400"),
        STOCK_KERNELS,
        check=(),
    ),
    Scenario(
        "moves-50-owned",
        f"MOVES=50 MODE=owned {AGENT}",
        (*dialogue("moves"), "--mem", "256", "--timeout", "14400", "--cmdline", "nopv"),
        STOCK_KERNELS,
        check=(),
    ),
    Scenario(
        "warp-moves",
        AGENT,
        (*dialogue("warp_moves"), "--smp", "4", "--mem", "256"),
        check=("6.12",),
    ),
    Scenario(
        "warp-moves-owned",
        f"MODE=owned {AGENT}",
        (*dialogue("warp_moves"), "--smp", "4", "--mem", "256", "--cmdline", "nopv"),
        check=(),
    ),
    Scenario(
        "warp-moves-unstable",
        f"EXPECT_PATH=guarded {AGENT}",
        (*dialogue("warp_moves"), "--smp", "4", "--mem", "256", "--clock", "unstable"),
        check=(),
    ),
    # The host stops the guest twice: for a minute, and so that the kernel has to complain.
    Scenario(
        "pause",
        f"MODE=owned {AGENT}",
        (
            *dialogue("pause"),
            "--cmdline",
            NOPV_ON_TSC,
            "--allow-splat",
            "soft lockup",
        ),
        STOCK_KERNELS,
        check=("6.12",),
    ),
    Scenario(
        "restarts",
        f"MODE=owned {AGENT}",
        # no_timer_check: on a slow host some boots find too few timer interrupts in the first 40 ms, and panic.
        # movablecore: keeps the module's memory away from the top, where kexec puts the second kernel.
        (
            *dialogue("restarts"),
            "--cmdline",
            "nopv no_timer_check movablecore=192M",
            "--add",
            "{image}:/tests/kernel",
        ),
        STOCK_KERNELS,  # the debug kernel takes minutes for three boots on hpet
        check=("6.1",),
    ),
    Scenario(
        "hibernates-shared",
        AGENT,
        (*dialogue("hibernates"), *DISK, "--mem", "256", "--cmdline", "resume=/dev/vda"),
        kernels=("kunit",),
        check=("kunit",),
    ),
    Scenario(
        "hibernates-owned",
        f"MODE=owned {AGENT}",
        (*dialogue("hibernates"), *DISK, "--mem", "256", "--cmdline", "resume=/dev/vda nopv"),
        kernels=("kunit",),
        check=(),
    ),
    Scenario("events-shared", AGENT, dialogue("events"), check=("6.12",)),
    Scenario(
        "events-owned",
        f"MODE=owned {AGENT}",
        (*dialogue("events"), "--cmdline", "nopv"),
        check=(),
    ),
    Scenario(
        "steal-shared",
        contending(
            "steal/steal", "steal/tasks", "steal/sleep", "files/tool", HOGS="yes", FIRES="steal"
        ),
        (*ONE_CPU, "--timeout", "1800"),
        check=("6.12",),
    ),
    Scenario(
        "steal-owned",
        contending("steal/steal", "steal/tasks", "steal/sleep", MODE="owned"),
        (*ONE_CPU, "--timeout", "1800", "--cmdline", "nopv"),
        check=(),
    ),
    Scenario("names", contending("files/names", "steal/moments"), (*ONE_CPU, *PATIENT), check=()),
    # A usual shape at cloud providers: many more CPUs can come than are there.
    Scenario(
        "many-possible",
        contending("steal/many_possible"),
        (*ONE_CPU, *PATIENT, "--qemu=-smp", "--qemu=2,maxcpus=240"),
        STOCK_KERNELS,
        check=("6.12",),
    ),
    # The debug kernel has no isolated CPUs. The others complain if their own look at a busy CPU without a tick comes
    # 3 s late, as it does on a busy machine.
    Scenario(
        "quiet",
        scripts("clock/quiet"),
        (
            *("--cmdline", "isolcpus=1 nohz_full=1 no-kvmclock-vsyscall"),
            *("--allow-splat", "sched_tick_remote"),
        ),
        STOCK_KERNELS,
        check=("6.12",),
    ),
    Scenario(
        "vdso-switch",
        scripts("clock/vdso_switch", MODE="owned"),
        ("--cmdline", NOPV_ON_TSC),
        check=("6.1",),
    ),
    Scenario("steal-truth-shared", AGENT, dialogue("steal_truth"), check=PART),
    Scenario(
        "steal-truth-owned",
        f"MODE=owned {AGENT}",
        (*dialogue("steal_truth"), "--cmdline", "nopv"),
        check=(),
    ),
    Scenario("steal-chaos-shared", AGENT, dialogue("steal_chaos"), check=("6.12",)),
    Scenario(
        "steal-chaos-owned",
        f"MODE=owned {AGENT}",
        (*dialogue("steal_chaos"), "--cmdline", "nopv"),
        check=(),
    ),
    Scenario("halt-poll", AGENT, dialogue("halt_poll"), check=()),
    # The host gets a swap disk, so it must not be this machine.
    Scenario(
        "async-pf",
        AGENT,
        (*dialogue("async_pf"), "--host", "nested", "--host-kernel", "6.12"),
        check=(),
    ),
    # Not in the debug kernels, which take minutes for a second boot.
    Scenario(
        "migration-control-shared",
        AGENT,
        (*HOLDS, "--cmdline", "no_timer_check"),
        STOCK_KERNELS,
        check=(),
    ),
    Scenario(
        "migration-control-owned",
        f"MODE=owned {AGENT}",
        (*HOLDS, "--cmdline", f"{NOPV_ON_TSC} no_timer_check"),
        STOCK_KERNELS,
        check=(),
    ),
    # Only in the debug kernel do run queues ask for steal time.
    Scenario(
        "steal-rq-shared",
        AGENT,
        dialogue("steal_rq"),
        kernels=("kunit",),
        check=(),
    ),
    Scenario(
        "steal-rq-owned",
        f"MODE=owned {AGENT}",
        (*dialogue("steal_rq"), "--cmdline", NOPV_ON_TSC),
        kernels=("kunit",),
        check=(),
    ),
    Scenario(
        "everywhere-shared",
        contending("life/everywhere", "files/documented"),
        (*ONE_CPU, *PATIENT),
        kernels=(*ALL_KERNELS, *OTHER_KERNELS),
        check=PART,
    ),
    Scenario(
        "everywhere-owned",
        contending("life/everywhere", "files/documented", MODE="owned"),
        (*ONE_CPU, *PATIENT, "--cmdline", NOPV_ON_TSC),
        kernels=(*ALL_KERNELS, *OTHER_KERNELS),
        check=PART,
    ),
    # The guest is the same. On hardware KVM, too, these hosts are emulated.
    *(
        Scenario(
            f"host-{name}",
            contending("life/host"),
            (*ONE_CPU, *PATIENT, "--host-kernel", name),
            kernels=("6.12",),
            check=check,
        )
        for name, check in (("6.1", ()), ("6.12", ("6.12",)), ("7.3", ()))
    ),
    Scenario("eoi-shared", scripts("eoi/eoi"), ("--timeout", "900"), check=("6.12",)),
    Scenario(
        "eoi-owned",
        scripts("eoi/eoi", MODE="owned"),
        ("--timeout", "900", "--cmdline", "nopv"),
        check=("6.1",),
    ),
    # Without paravirtual features the kernel uses x2APIC only with interrupt remapping.
    Scenario(
        "eoi-owned-x2apic",
        scripts("eoi/eoi", MODE="owned", APIC="x2apic"),
        (
            *("--timeout", "900", "--cmdline", "nopv"),
            *("--qemu=-machine", "--qemu=q35,kernel-irqchip=split"),
            *("--qemu=-device", "--qemu=intel-iommu,intremap=on"),
        ),
        check=("6.12",),
    ),
    Scenario(
        "eoi-stack",
        scripts("eoi/stack"),
        PATIENT,
        check=("6.1",),
    ),
    Scenario(
        "eoi-cpus-and-sleep",
        scripts("eoi/hotplug", "eoi/suspend", "halt_poll/wakeups", "halt_poll/control"),
        WAKE,
        check=("6.12",),
    ),
    # The first part. On 7.3 one guest did not go on after its third sleep, and another one slept twice and had no time
    # for the third. What stopped the first is not known.
    Scenario("eoi-cpus", scripts("eoi/hotplug"), kernels=PART, check=PART),
    Scenario(
        "eoi-cpus-and-sleep-owned",
        scripts(
            "eoi/hotplug", "eoi/suspend", "halt_poll/wakeups", "halt_poll/control", MODE="owned"
        ),
        (*WAKE, "--cmdline", "nopv"),
        check=(),
    ),
    # Not by run.sh, which keeps the output until the end: the output is the virtio traffic.
    Scenario("eoi-million", "sh /tests/eoi/million.sh", ("--timeout", "1800"), check=()),
    Scenario(
        "eoi-million-owned",
        "MODE=owned sh /tests/eoi/million.sh",
        ("--timeout", "3000", "--cmdline", "nopv"),
        check=(),
    ),
    # The kernel's driver that polls in the guest comes by a word on the command line; it has nothing to do with EOIs.
    Scenario(
        "eoi-not-offered",
        scripts("eoi/not_offered", "halt_poll/driver", "files/tool", FIRES="eoi-written"),
        (*PATIENT, "--cpu=-kvm-pv-eoi", "--cmdline", "cpuidle_haltpoll.force=1"),
        check=("6.1",),
    ),
    Scenario("kunit-stable", KUNIT, PATIENT, kernels=DEBUG_KERNELS, check=("kunit",)),
    Scenario(
        "kunit-unstable",
        KUNIT,
        (*PATIENT, "--clock", "unstable", "--smp", "4"),
        kernels=DEBUG_KERNELS,
        check=("kunit",),
    ),
)
