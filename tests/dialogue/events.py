#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the host does to the clock becomes an event, and the switch force_unstable works. MODE: shared or owned (nopv).

In shared mode the host does only what the kernel's own clock survives, because that hangs on a torn record.
"""

from __future__ import annotations

from collections.abc import Callable

from records import ClockRecords, GuestMemory
from talk import DEBUG, Failed, Table, Talk, contains, equal, within

TRACING = "/sys/kernel/tracing"
FORCE = f"{DEBUG}/clock/force_unstable"
# In the format of one trace line.
ON_CPU_0 = "[000]"


class Events:
    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._records = ClockRecords(GuestMemory(talk.beside.pid))
        self._vdso = "no" if talk.mode == "owned" else "yes"
        self._pause = (0, 0)  # the least and the greatest possible length, in ns

    # ---- What the checks are made of

    def _record(self, cpu: int) -> int:
        return self._talk.table("cpus").number(cpu, "clock_pa")

    def _add_to_record_1(self, field: str, value: int) -> None:
        self._records.add(self._record(1), field, value)

    def _mend_record_1(self) -> None:
        self._records.mend(self._record(1))

    def _reads(self, count: int) -> list[int]:
        """From both CPUs in turns. 40 take longer than the sampler needs."""
        read = f"awk '$1 == \"now_ns\" {{ print $2 }}' {DEBUG}/clock/state"
        both = f"taskset -c 0 {read}; taskset -c 1 {read}"
        said = self._talk.ask(f"for i in $(seq {count // 2}); do {both}; done")
        reads = [int(word) for word in said.split()]
        equal("number of reads", len(reads), count)
        return reads

    def _never_goes_back(self, count: int) -> None:
        reads = self._reads(count)
        for number, (before, now) in enumerate(zip(reads, reads[1:], strict=False), 1):
            if now < before:
                raise Failed(f"CPU {number % 2}: {now} after {before}, {before - now} ns back")

    def _path_is(self, path: str, vdso: str) -> None:
        equal("path", self._talk.state("path"), path)
        equal("vdso", self._talk.state("vdso"), vdso)

    def _is_stable(self) -> None:
        self._path_is("stable", self._vdso)

    def _counts_beyond(self, name: str, value: int) -> None:
        self._talk.ask(f"counts_beyond {name} {value}")

    def _looks(self, count: int = 1) -> None:
        for _ in range(count):
            self._talk.ask("each_cpu_looks")

    def _cannot_release(self) -> None:
        self._talk.fails_with("busy", f"echo 0 > {FORCE}")

    # ---- The checks

    def nothing_has_happened(self) -> None:
        self._looks(2)
        equal("disruptions", self._talk.count("disruptions"), 0)
        equal("totals", self._talk.table("events", head=2).head[1], "events 0 lost 0")

    def pause_is_one_event(self) -> None:
        """From the CPU that saw it first. Its length is what the host says."""
        before = self._talk.count("disruptions")
        self._pause = self._talk.stop(3)
        self._counts_beyond("disruptions", before)
        self._looks()
        equal("disruptions", self._talk.count("disruptions"), before + 1)
        within("pause_ns", self._talk.last_value("pause"), *self._pause)

    def drift_shows_the_pause(self) -> None:
        """While a machine is stopped, its devices stand still like its clock. But QEMU stops and starts them one after
        the other, in the time by which the host's two bounds of the pause differ. The time of day and the TSC continue.
        """
        drift = self._talk.table("clock/drift")
        least, most = self._pause
        self._offset_is(drift, "hpet", least - most, most - least)
        self._offset_is(drift, "acpi_pm", least - most, most - least)
        self._offset_is(drift, "rtc", least, most)
        self._offset_is(drift, "host_realtime", least, most)
        if drift.rows["tsc"]["present"] != "no":
            self._offset_is(drift, "tsc", least, most)

    def _offset_is(self, drift: Table, clock: str, least: int, most: int) -> None:
        """Within the stated error and 500 ppm, NTP's largest slew."""
        give = drift.number(clock, "error_ns") + drift.number(clock, "elapsed_ns") // 2000
        within(f"{clock} offset_ns", drift.number(clock, "offset_ns"), least - give, most + give)

    def refuses_nonsense(self) -> None:
        for bad in ("2", "x", "10", "-1"):
            self._talk.fails_with("nvalid", f"sh -c 'echo {bad} > {FORCE}'")
        self._is_stable()

    def forces(self) -> None:
        self._talk.ask(f"echo 1 > {FORCE}")
        self._path_is("guarded", "no")
        equal("forced", self._talk.state("forced_unstable"), "yes")
        self._never_goes_back(40)
        equal("guard_forced", self._talk.count("events_guard_forced"), 1)

    def guard_holds(self) -> None:
        """Only the guard makes the difference: CPU 1's record is a second behind."""
        held = self._talk.count("held_back_reads")
        self._add_to_record_1("system_time", -1_000_000_000)
        self._never_goes_back(40)
        within("held_back_reads", self._talk.count("held_back_reads") - held, 20, 1_000_000)
        # It may be less by the time between two reads, and more by the time for which a vCPU was preempted in one.
        within("held_back_max_ns", self._talk.count("held_back_max_ns"), 9e8, 11e8)
        self._counts_beyond("events_jump_backward", 0)
        self._cannot_release()
        self._mend_record_1()
        self._counts_beyond("events_jump_forward", 0)
        equal("jump_backward", self._talk.last_value("jump_backward"), 1_000_000_000)
        equal("jump_forward", self._talk.last_value("jump_forward"), 1_000_000_000)

    def too_far_ahead(self) -> None:
        """A record that is 31 years ahead is not believed. The clock continues at its old rate, and does not stand still
        when the record is right again.
        """
        name = "too_far_ahead_reads"
        before = self._talk.count(name)
        self._add_to_record_1("system_time", 10**18)
        self._counts_beyond(name, before)
        read = f"awk '$1 == \"now_ns\" {{ print $2 }}' {DEBUG}/clock/state"
        for cpu in (0, 1, 0, 1):
            on = f"taskset -c {cpu} {read}"
            # The sleep does not end if the clock stands still.
            first, second = map(int, self._talk.ask(f"{on}; sleep 1; {on}").split())
            within(f"a second on CPU {cpu}", second - first, 990_000_000, 4_000_000_000)
        self._never_goes_back(40)
        self._cannot_release()
        self._path_is("guarded", "no")
        self._mend_record_1()
        before = self._talk.count(name)
        self._never_goes_back(40)
        equal(name, self._talk.count(name), before)

    def goes_back(self) -> None:
        self._talk.ask(f"echo 0 > {FORCE}")
        self._is_stable()
        self._never_goes_back(40)
        equal("guard_released", self._talk.count("events_guard_released"), 1)

    def rate_changes(self) -> None:
        multiplier = self._talk.table("cpus").number(1, "tsc_to_system_mul")
        self._add_to_record_1("tsc_to_system_mul", 10)
        self._counts_beyond("events_rate_changed", 0)
        expected = (multiplier + 10) * 10**9 // multiplier - 10**9
        equal("rate_changed_ppb", self._talk.last_value("rate_changed"), expected)
        self._mend_record_1()
        self._counts_beyond("events_rate_changed", 1)
        self._is_stable()

    def _wakes(self) -> list[str]:
        """By a kprobe: what runs on CPU 0 after another CPU has seen a change."""
        trace = self._talk.ask(f"cat {TRACING}/trace").splitlines()
        return [line for line in trace if " kvmpv_woken: " in line]

    def change_wakes_cpu_0(self) -> None:
        """Each change of CPU 1's record that a look has seen wakes CPU 0, and nothing else does. Where user space makes
        a system call instead of reading CPU 0's record, CPU 0 is left alone.
        """
        switch = f"{TRACING}/events/kprobes/kvmpv_woken/enable"
        self._talk.ask(f"echo 'p:kvmpv_woken kvmpv:woken' > {TRACING}/kprobe_events")
        self._talk.ask(f"echo 1 > {switch}")
        before = self._talk.count("cpu0_wakes")
        self._looks(2)
        equal("wakes without a change", self._wakes(), [])
        changes = self._talk.count("events_rate_changed")
        self._add_to_record_1("tsc_to_system_mul", 10)
        self._counts_beyond("events_rate_changed", changes)
        self._mend_record_1()
        self._counts_beyond("events_rate_changed", changes + 1)
        # The wake-up comes after the look that has counted the event.
        expected = 2 if self._vdso == "yes" else 0
        if expected:
            self._counts_beyond("cpu0_wakes", before + 1)
        else:
            self._looks()
        equal("cpu0_wakes", self._talk.count("cpu0_wakes"), before + expected)
        wakes = self._wakes()
        equal("wakes", len(wakes), expected)
        equal("wakes on CPU 0", sum(ON_CPU_0 in line for line in wakes), expected)
        self._talk.ask(f"echo 0 > {switch}; echo > {TRACING}/kprobe_events")

    def flag_comes_and_goes(self) -> None:
        """A record without the promise is read under the guard, whatever the other records say."""
        self._records.set(self._record(1), "flags", 0)
        self._counts_beyond("events_stable_lost", 0)
        self._never_goes_back(40)
        # User space reads CPU 0's record only.
        self._path_is("guarded", self._vdso)
        self._mend_record_1()
        self._counts_beyond("events_stable_gained", 0)
        self._never_goes_back(40)
        equal("stable_lost", self._talk.count("events_stable_lost"), 1)
        equal("stable_gained", self._talk.count("events_stable_gained"), 1)
        self._is_stable()

    def status_follows_the_flag(self) -> None:
        """What status says holds now, and not what held at load."""
        by_user_space = self._vdso == "yes"
        if by_user_space:
            contains(self._status(), "vdso: user space reads")
        self._records.set(self._record(0), "flags", 0)
        self._path_is("guarded", "no")
        contains(self._status(), r"^kvmpv .* guarded ")
        if by_user_space:
            contains(self._status(), "vdso: by system call: the host has withdrawn its promise")
        self._records.mend(self._record(0))
        self._is_stable()

    def _status(self) -> str:
        return self._talk.ask(f"cat {DEBUG}/status")

    def _is_bridged(self, spoil: Callable[[], None], event: str, reads: str) -> None:
        """While record 1 cannot be used the guard answers and each read is counted. There is one event, however long it
        stays so. The record is also torn for a moment while the host writes a field, and a look may have met that before.
        """
        before = self._talk.count(f"events_{event}")
        spoil()
        self._never_goes_back(60)
        self._counts_beyond(f"events_{event}", before)
        within(reads, self._talk.count(reads), 30, 1_000_000)
        equal(f"events_{event}", self._talk.count(f"events_{event}"), before + 1)
        self._mend_record_1()
        self._never_goes_back(40)
        self._is_stable()

    def torn_for_ever(self) -> None:
        self._is_bridged(lambda: self._records.tear(self._record(1)), "record_torn", "torn_reads")

    def timestamp_ahead(self) -> None:
        ahead = 10**15
        self._is_bridged(
            lambda: self._add_to_record_1("tsc_timestamp", ahead), "tsc_behind", "tsc_behind_reads"
        )
        within("ticks ahead", self._talk.last_value("tsc_behind"), ahead * 9 // 10, ahead)

    def promise_is_revoked(self) -> None:
        """100 us is less than the time between two looks, but not less than they can detect."""
        # From a record that can be read, or there would be no jump.
        self._looks()
        self._add_to_record_1("system_time", 100_000)
        self._counts_beyond("events_stable_revoked", 0)
        within("disagreement_ns", self._talk.last_value("stable_revoked"), 99_990, 100_010)
        within("jump_ns", self._talk.last_value("jump_forward"), 99_998, 100_002)
        equal("stable_revoked", self._talk.state("stable_revoked"), "yes")
        self._path_is("guarded", "no")
        self._never_goes_back(40)
        self._cannot_release()
        self._path_is("guarded", "no")
        contains(self._talk.ask("dmesg"), "kvmpv: clock: CPU . is .* off what other CPUs show")

    def sequence_has_no_hole(self) -> None:
        events = self._talk.table("events", head=2)
        numbers = list(map(int, events.rows))
        total = int(events.head[1].split()[1])
        equal("sequence numbers", numbers, list(range(1, total + 1)))


def main() -> None:
    talk = Talk()
    events = Events(talk)
    owned = talk.mode == "owned"
    talk.load("clock")
    talk.check("select_clocksource kvmpv", name="selects")
    talk.check(events.nothing_has_happened)
    # This comes first, because after it a second can be subtracted from system_time.
    talk.check(events.pause_is_one_event)
    talk.check(events.drift_shows_the_pause)
    talk.check(events.refuses_nonsense)
    talk.check(events.forces)
    if owned:
        talk.check(events.guard_holds)
        talk.check(events.too_far_ahead)
    talk.check(events.goes_back)
    talk.check(events.rate_changes)
    talk.check(events.change_wakes_cpu_0)
    talk.check(events.flag_comes_and_goes)
    talk.check(events.status_follows_the_flag)
    if owned:
        talk.check(events.torn_for_ever)
        talk.check(events.timestamp_ahead)
    talk.check(events.promise_is_revoked)
    talk.check(events.sequence_has_no_hole)
    print(talk.ask(f"cat {DEBUG}/events"))
    talk.unload()


if __name__ == "__main__":
    main()
