#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The guest says that it must not be moved, on a host that offers it that (--shim): each way in which a hold begins, is
refused and ends, and what the host has got.

This host keeps a value for each vCPU. The kernel writes 0 on each CPU that goes, in shared mode only. MODE: shared or owned
(nopv). Two vCPUs. At last another kernel is started by kexec.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from lab.beside import Access
from restarts import PACK_ROOT
from talk import DEBUG, Failed, Talk, contains, equal, within

MSR = 0x4B564D08
CONTROL = f"{DEBUG}/migration/control"
CPU1 = "/sys/devices/system/cpu/cpu1/online"
KERNEL_ARGUMENTS = '"$(cat /proc/cmdline)"'
NS = 1_000_000_000
# A line of shell that opens it for as long as the shell wants.
OPEN = f"exec 7<> {CONTROL}"
CLOSE = "exec 7>&-"
BUSY = "[Bb]usy"
INVALID = "[Ii]nvalid argument"
IO_ERROR = "[Ii]/?(nput/output|O) error"
PATIENCE = 60.0  # seconds; for what takes one


class Hold:
    """What the guest's file shows, and what the host has got."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self._seen = 0
        self._holds = 0

    def field(self, name: str) -> str:
        rows = self.talk.table("migration/control").rows
        return rows[name]["value"] if name in rows else "none"

    def msr(self, cpu: int = 0) -> str:
        """By msr-tools."""
        return self.talk.ask(f"msr {cpu} {MSR:#x}")

    def writes(self) -> list[Access]:
        """All of the guest's since the last time."""
        found = [one for one in self.talk.beside.accesses() if one.is_write and one.msr == MSR]
        new, self._seen = found[self._seen :], len(found)
        return new

    def wrote(self, *values: int) -> None:
        """Only CPU 0, and only these since the last time."""
        equal("writes", self.writes(), [Access(True, 0, MSR, value, "served") for value in values])

    def is_held(self) -> None:
        equal("state", self.field("state"), "held")
        equal("msr", (self.field("msr"), self.msr()), ("0x0", "0x0"))
        equal("before", self.field("before"), "0x1")

    def is_not(self, msr: str = "0x1", before: str = "-") -> None:
        equal("msr", (self.field("msr"), self.msr()), (msr, msr))
        state = self.talk.ask(f"sed -n 's/^state *//p' {CONTROL}")
        equal("state", state, "allowed" if msr == "0x1" else "not allowed")
        equal("before", self.field("before"), before)
        equal("holder", (self.field("pid"), self.field("left_s")), ("none", "none"))

    def begins(self, seconds: int) -> None:
        self.talk.ask(f"{OPEN} && echo hold {seconds} >&7")
        self.is_held()
        self.wrote(0)

    def ends(self, line: str = CLOSE) -> None:
        self.talk.ask(line)
        self.is_not()
        self.wrote(1)

    def is_left(self, least: int, most: int) -> None:
        within("left_s", int(self.field("left_s")), least, most)


def is_left_alone(hold: Hold) -> None:
    hold.is_not()
    contains(hold.talk.ask("reason migration"), "set when asked, put back at unload; as it was$")
    hold.wrote()


def monotonic_ns(talk: Talk) -> int:
    """CLOCK_MONOTONIC, at the earliest when this is called."""
    talk.ask(f"echo 1 > {DEBUG}/steal/reset")
    return talk.number("field steal/reset reset_time_ns")


def holds_until_closed(hold: Hold) -> None:
    before_ns = monotonic_ns(hold.talk)
    hold.begins(300)
    after_ns = monotonic_ns(hold.talk)
    until_ns = int(hold.field("held_until_ns"))
    within("held_until_ns", until_ns, before_ns + 300 * NS, after_ns + 300 * NS)
    hold.is_left(1, 300)
    equal("pid", hold.field("pid"), hold.talk.ask("echo $$"))
    equal("comm", hold.field("comm"), "sh")
    contains(hold.talk.ask("reason migration"), "; held for [0-9]+ s by [0-9]+ sh$")
    # The whole guest's bit is one CPU's, and the other one's is left alone.
    equal("CPU 1", hold.msr(1), "0x1")
    equal("cpus", hold.talk.table("cpus").column("migration_control"), ["0x0", "0x1"])
    hold.ends()


def extends_its_own(hold: Hold) -> None:
    hold.begins(100)
    hold.talk.ask("echo hold 600 >&7")
    hold.is_left(500, 600)
    hold.talk.ask("echo hold 200 >&7")
    hold.is_left(1, 200)
    hold.wrote(0, 0)
    hold.ends()


def nobody_else_ends_it(hold: Hold) -> None:
    hold.begins(600)
    for word in ("hold 1", "hold 600", "allow"):
        hold.talk.fails_with(BUSY, f"echo {word} > /tmp/text; cat /tmp/text > {CONTROL}")
    hold.talk.fails_with("[Ii]n use|[Tt]emporarily|[Bb]usy", "rmmod kvmpv")
    hold.is_held()
    hold.is_left(400, 600)
    hold.wrote()
    hold.ends()


def children_keep_it(hold: Hold) -> None:
    """Whoever has inherited the file has it open."""
    hold.begins(600)
    hold.talk.ask("sleep 1000 > /dev/null 2>&1 & child=$!")
    hold.talk.ask(CLOSE)
    hold.is_held()
    hold.wrote()
    hold.ends("kill $child; wait $child 2> /dev/null; true")


def ends_with_its_process(hold: Hold) -> None:
    """By SIGKILL. Its name has what a table cannot hold."""
    program = (
        r'printf "a b\\\\" > /proc/$$/comm;'
        f" {OPEN}; echo hold 600 >&7; echo > /tmp/holds; read -r word < /tmp/fifo"
    )
    hold.talk.ask(f"sh -c '{program}' > /dev/null 2>&1 & child=$!")
    hold.talk.ask(
        "i=0; until [ -e /tmp/holds ]; do sleep 0.1; i=$((i + 1)); [ $i -lt 600 ] || break; done"
    )
    hold.is_held()
    equal("comm", hold.field("comm"), r"a\040b\134")
    hold.wrote(0)
    hold.ends("kill -9 $child; wait $child 2> /dev/null; true")


def awaits_writes(hold: Hold, *values: int) -> None:
    """As Hold.wrote(), when that many have come."""
    deadline = time.monotonic() + PATIENCE
    got: list[Access] = []
    while len(got) < len(values) and time.monotonic() < deadline:
        got += hold.writes()
        time.sleep(0.05)
    equal("writes", got, [Access(True, 0, MSR, value, "served") for value in values])


def plain_echo_holds_for_no_time(hold: Hold) -> None:
    before = int(hold.field("holds"))
    hold.talk.ask(f"echo hold 60 > {CONTROL}")
    equal("holds", int(hold.field("holds")), before + 1)
    hold.is_not()
    hold.wrote(0, 1)


def a_group_holds_while_it_runs(hold: Hold) -> None:
    hold.talk.ask(f"(echo hold 60; field migration/control state > /tmp/inside) > {CONTROL}")
    equal("state inside", hold.talk.ask("cat /tmp/inside"), "held")
    hold.is_not()
    hold.wrote(0, 1)


def ends_after_its_time(hold: Hold) -> None:
    """The file stays open, and is no obstacle to the next one, which it does not end."""
    before_ns = monotonic_ns(hold.talk)
    hold.talk.ask(f"{OPEN} && echo hold 1 >&7")
    awaits_writes(hold, 0, 1)
    after_ns = monotonic_ns(hold.talk)
    within("ns of a hold of 1 s", after_ns - before_ns, NS, PATIENCE * NS)
    hold.is_not()
    equal("timed_out", hold.field("timed_out"), "1")
    hold.talk.ask(f"exec 8<> {CONTROL} && echo hold 600 >&8")
    hold.talk.ask(CLOSE)
    hold.is_held()
    hold.is_left(400, 600)
    hold.wrote(0)
    hold.ends("exec 8>&-")


def holds_two_hundred_times(hold: Hold) -> None:
    before = int(hold.field("holds"))
    hold.talk.ask(
        f"i=0; while [ $i -lt 200 ]; do echo hold 9 > {CONTROL} || break; i=$((i + 1)); done"
    )
    equal("holds", int(hold.field("holds")), before + 200)
    hold.is_not()
    hold.wrote(*(0, 1) * 200)


def refuses_bad_input(hold: Hold) -> None:
    """Of all lengths, nearly right and of any bytes. A hold that is there stays as it is."""
    hold.begins(600)
    dice = random.Random(20261127)
    texts = [
        b" ",
        b"0",
        b"1",
        b"hold",
        b"hold ",
        b"hold 0",
        b"hold 601",
        b"hold -1",
        b"hold +1",
        b"hold 1 ",
        b"hold  1",
    ]
    texts += [
        b" hold 1",
        b"hold 1s",
        b"hold 0x1",
        b"hold 1.5",
        b"hold 1 1",
        b"Hold 1",
        b"hold 1\n\n",
        b"hold 1\0",
        b"allow ",
    ]
    texts += [
        b"allows",
        b"allo",
        b"allow 1",
        b"hold 18446744073709551617",
        b"release",
        b"hold\t1",
        b"\n",
    ]
    for length in range(1, 72):
        texts.append((b"hold " + b"1" * 80)[: length + 8])
        texts.append(b"Z" + dice.randbytes(length))
    for text in texts:
        octal = "".join(f"\\{byte:03o}" for byte in text)
        hold.talk.fails_with(INVALID, f"printf '{octal}' > /tmp/text; cat /tmp/text >&7")
    hold.is_held()
    hold.is_left(1, 600)
    hold.wrote()
    hold.ends()
    hold.talk.fails_with(INVALID, f"echo hold 601 > /tmp/text; cat /tmp/text > {CONTROL}")
    hold.wrote()


def by_the_kernel(hold: Hold) -> list[Access]:
    """What it writes when CPU 1 goes."""
    return [Access(True, 1, MSR, 0, "served")] if hold.talk.mode == "shared" else []


def cpu1_goes_and_comes(hold: Hold, value: int) -> None:
    """What was asked for is written when the CPU is gone, and when it has come."""
    hold.talk.ask(f"echo 0 > {CPU1}")
    hold.talk.ask(f"echo 1 > {CPU1}")
    ours = [Access(True, 0, MSR, value, "served")] * 2
    equal("writes", hold.writes(), by_the_kernel(hold) + ours)
    equal("CPU 1", hold.msr(1), "0x0" if by_the_kernel(hold) else "0x1")
    hold.talk.ask(f"wrmsr -p 1 {MSR:#x} 1")
    hold.writes()


def is_held_while_cpus_go(hold: Hold) -> None:
    hold.begins(600)
    cpu1_goes_and_comes(hold, 0)
    hold.is_held()
    hold.ends()


def nothing_is_written_unasked(hold: Hold) -> None:
    hold.talk.ask(f"echo 0 > {CPU1}")
    hold.talk.ask(f"echo 1 > {CPU1}")
    equal("writes", hold.writes(), by_the_kernel(hold))
    hold.talk.ask(f"wrmsr -p 1 {MSR:#x} 1")
    hold.writes()


def allow_lasts(hold: Hold) -> None:
    """It outlives its file, a hold and what the kernel writes."""
    hold.talk.ask(f"wrmsr -p 0 {MSR:#x} 0")
    hold.is_not("0x0")
    hold.writes()
    hold.talk.ask(f"echo allow > {CONTROL}")
    hold.is_not(before="0x0")
    hold.wrote(1)
    contains(hold.talk.ask("reason migration"), "; set to 1$")
    hold.talk.ask(f"echo hold 60 > {CONTROL}")
    hold.is_not(before="0x0")
    hold.wrote(0, 1)
    # As on a host with one value for the whole guest, where the kernel's write is for all.
    hold.talk.ask(f"wrmsr -p 0 {MSR:#x} 0")
    hold.writes()
    cpu1_goes_and_comes(hold, 1)
    hold.is_not(before="0x0")


def unloading_puts_back_0(hold: Hold) -> None:
    hold.talk.ask("unload")
    equal("msr", hold.msr(), "0x0")
    hold.wrote(0)
    hold.talk.ask(f"wrmsr -p 0 {MSR:#x} 1")
    hold.writes()
    hold.talk.ask("undone")


def sleeps(talk: Talk) -> None:
    talk.begin("echo mem > /sys/power/state")
    talk.beside.qmp.wait("SUSPEND")
    talk.beside.qmp.command("system_wakeup")
    status, said = talk.end()
    if status:
        raise Failed(f"sleep: exit status {status}\n{said}")


def is_held_after_sleep(hold: Hold) -> None:
    hold.begins(600)
    sleeps(hold.talk)
    hold.is_held()
    hold.is_left(1, 600)
    hold.writes()
    hold.ends()
    hold.talk.ask(f"wrmsr -p 1 {MSR:#x} 1")
    hold.writes()


def a_host_that(name: str) -> Callable[[Hold], None]:
    def check(hold: Hold) -> None:
        """A hold that the host did not take is none, and one that cannot be ended is tried again."""
        hold.talk.beside.switch_on(name)
        hold.talk.fails_with(IO_ERROR, f"echo hold 60 > /tmp/text; cat /tmp/text > {CONTROL}")
        hold.is_not()
        hold.talk.beside.switch_on()
        hold.writes()
        hold.begins(300)
        hold.talk.beside.switch_on(name)
        hold.talk.ask(CLOSE)
        hold.is_not("0x0", before="0x1")
        contains(
            hold.talk.ask("reason migration"), "; set to 0, [0-9]+ failures, see the kernel log$"
        )
        said = hold.talk.ask("dmesg | grep 'kvmpv: migration: ' | tail -n 2")
        equal(
            "log",
            [line.split("] ", 1)[1] for line in said.splitlines()],
            [
                f"kvmpv: migration: the MSR could not be {what} on CPU 0: error -5"
                for what in ("set", "put back")
            ],
        )
        hold.talk.beside.switch_on()
        hold.writes()
        hold.begins(300)
        hold.ends()

    return check


def says_that_the_msr_was_kept(hold: Hold) -> None:
    """What the first kernel held, the second one finds as it was."""
    equal("CPU 0", hold.msr(), "0x1")
    last = [one for one in hold.writes() if one.cpu == 0]
    equal("the last write on CPU 0", last[-1], Access(True, 0, MSR, 1, "served"))


def main() -> None:
    talk = Talk()
    hold = Hold(talk)
    talk.ask("mkfifo /tmp/fifo; remember")
    talk.check("load", name="loads")
    talk.check(lambda: equal("mode", talk.ask("mode migration"), "owned"), name="mode")
    talk.check(is_left_alone, hold)
    talk.check(holds_until_closed, hold)
    talk.check(extends_its_own, hold)
    talk.check(nobody_else_ends_it, hold)
    talk.check(children_keep_it, hold)
    talk.check(ends_with_its_process, hold)
    talk.check(plain_echo_holds_for_no_time, hold)
    talk.check(a_group_holds_while_it_runs, hold)
    talk.check(ends_after_its_time, hold)
    talk.check(holds_two_hundred_times, hold)
    talk.check(refuses_bad_input, hold)
    talk.check(is_held_while_cpus_go, hold)
    talk.check(nothing_is_written_unasked, hold)
    talk.check(allow_lasts, hold)
    talk.check(unloading_puts_back_0, hold)
    talk.check("lacks \"$(dmesg)\" 'kvmpv: migration'", name="nothing_was_logged")
    talk.check("load", name="loads_again")
    talk.check(is_held_after_sleep, hold)
    talk.check(a_host_that("refuses"), hold, name="host_refuses")
    talk.check(a_host_that("ignores"), hold, name="host_ignores")
    talk.check(hold.begins, 600, name="holds_at_last")
    talk.check(PACK_ROOT, name="packs_root")
    talk.subtest("first_kernel")
    talk.let_reboot()
    talk.restart(f"/tests/kexec /tests/kernel /tmp/root.cpio {KERNEL_ARGUMENTS}")

    talk.check(says_that_the_msr_was_kept, hold)
    talk.subtest("after_kexec")
    talk.finish()


if __name__ == "__main__":
    main()
