# SPDX-License-Identifier: GPL-2.0-only
"""`make bench` fails if a figure is missing, and if one of its programs passes a number as a bool.

The guests are not booted: a script in the place of scripts/guest prints what one would.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import unittest
from collections.abc import Mapping
from pathlib import Path

from built import ROOT

NEEDED = ("bench", "include", "src", "scripts/lab")

# In the place of scripts/guest. Each work is a command; what it would print is in a file of its name, and what the host would
# count in another: for the machine where the work has the guest to itself, else on the host beside it, when that is asked for.
GUEST = """#!/usr/bin/python3
import os, re, sys
from pathlib import Path

said = Path(os.environ["SAID"])
options = sys.argv[1 : sys.argv.index("--")]
with (said / "guests").open("a") as guests:
    guests.write(" ".join(options) + "\\n")
shared = "--host-script" in options
for line in sys.argv[-1].splitlines():
    if line.startswith("echo "):
        print(line[5:])
    if line.startswith("echo host: read"):
        print("host: " + name.with_suffix(".exits").read_text(), file=sys.stderr)
    if found := re.search("sh /bench/[a-z]+[.]sh (.*)", line):
        words = found[1].split()
        at = words[0] + "-" + words[1] if words[0] in ("exits", "ends") else words[0]
        name = said / at
        sys.stdout.write(name.read_text() if name.exists() else "")
if "--exits-json" in options:
    Path(options[options.index("--exits-json") + 1]).write_text(name.with_suffix(".exits").read_text())
for option in options:
    if found := re.fullmatch("--host-qemu=file=.*,out=(.*)", option):
        Path(found[1]).write_text((said / "executed").read_text())
"""

CLOCKS = ("kvmpv", "kvm-clock", "hpet")
LOOPS = ("nothing", "irq-off", "preempt-off")
STEAL_CLOCKS = ("kvm_steal_clock", "kvmpv_steal_clock")
KINDS = ("timer", "self_ipi", "other_ipi", "virtio")
STATES = ("not-loaded", "again", "off", "on")
TURNS = [f"turn {state} trips 10 ns_per_trip 5000.0" for _ in range(2) for state in STATES]
# Vectors of the four kinds.
ENDED = {"kvm_eoi_vectors": {"236": 99, "246": 99, "251": 99, "34": 99}, "kvm_pv_eoi_vectors": {}}
EXITS = {"total": 120, "reasons": {"io": 100, "msr": 20}}

# What a guest prints in a short run, by work.
SAID: Mapping[str, list[str]] = {
    "in_kernel": [
        *(f"offered {clock}" for clock in CLOCKS),
        *(
            f"timing {cpus} {round} {clock} 1000 50000"
            for cpus in (1, 4)
            for round in (0, 1)
            for clock in CLOCKS + LOOPS
        ),
        *(f"steps {clock} 27" for clock in CLOCKS),
    ],
    "user_shared": [
        *(f"calls {clock} 1000 0" for clock in CLOCKS[:2]),
        *(
            f"user {clock} reads 1000 backward 0 ns_per_read 150.0"
            for _ in range(2)
            for clock in CLOCKS[:2]
        ),
    ],
    "user_owned": [
        *(f"calls {clock} 1000 0" for clock in ("kvmpv-vdso1", "kvmpv-vdso0", "hpet")),
        *(
            f"user {clock} reads 1000 backward 0 ns_per_read 150.0"
            for _ in range(2)
            for clock in ("kvmpv-vdso1", "kvmpv-vdso0", "hpet")
        ),
    ],
    **{f"exits-{clock}": [f"timing 1 0 {clock} 1000 50000"] for clock in ("nothing", *CLOCKS)},
    "all": [
        *TURNS,
        *(
            f"timing {attribution} {name} 100 2500"
            for attribution in ("off", "on")
            for _ in range(2)
            for name in (*STEAL_CLOCKS, "nothing", "rdtsc")
        ),
        *(
            f"steps {name} {attribution} 20"
            for name in STEAL_CLOCKS
            for attribution in ("off", "on")
        ),
        "steps sched_switch on 15",
    ],
    "counted": TURNS,
    **{
        f"ends-{loaded}": [
            *("cpus 2", "x2apic 1", *(f"{kind} 99" for kind in KINDS)),
            *(f"{what} 396" for what in ("ends", "taken", "ends_least", "ends_most")),
            *("elided_least 0", "elided_most 0"),
        ]
        for loaded in ("yes", "no")
    },
    "eoi_steps": ["eoi_steps kvm_guest_apic_eoi_write 5", "eoi_steps kvmpv_eoi 6"],
}
# Six batches in each turn.
EXECUTED = [str(20000 + batch) for _ in TURNS for batch in range(6)]

# How many tables each group makes of that.
TABLES = {"cpu": 1, "kernel": 4, "user": 2, "exits": 1, "steal": 7, "eoi": 2}


class Bench(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kvmpv-bench-"))
        self.addCleanup(shutil.rmtree, self.folder)
        for name in NEEDED:
            shutil.copytree(ROOT / name, self.folder / name)
        guest = self.folder / "scripts/guest"
        guest.write_text(GUEST)
        guest.chmod(0o755)
        self.said = self.folder / "said"
        self.said.mkdir()
        for name, lines in SAID.items():
            self.say(name, lines)
            exits = ENDED if name.startswith("ends-") else EXITS
            (self.said / name).with_suffix(".exits").write_text(json.dumps(exits))
        self.say("executed", EXECUTED)

    def say(self, name: str, lines: list[str]) -> None:
        (self.said / name).write_text("".join(f"{line}\n" for line in lines))

    def bench(self, *options: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bench/run", *options],
            cwd=self.folder,
            env={**os.environ, "SAID": str(self.said)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode, done.stdout

    def short(self, group: str) -> tuple[int, str]:
        return self.bench("--short", "--only", group)

    def guests(self) -> list[str]:
        return (self.said / "guests").read_text().splitlines()

    def test_all_figures_make_all_tables_in_few_guests(self) -> None:
        status, output = self.bench("--short")
        self.assertEqual(status, 0, output)
        tables = sum(TABLES.values())
        self.assertIn(f"tables with each cell filled: {tables}", output)
        self.assertEqual(output.count("NOT TO BE QUOTED"), tables, output)
        self.assertEqual(len(self.guests()), 7, output)

    def test_a_work_has_a_guest_to_itself_unless_the_run_is_short(self) -> None:
        for group, guests in (("exits", 4), ("eoi", 8)):
            with self.subTest(group=group):
                (self.said / "guests").write_text("")
                status, output = self.bench("--rounds", "2", "--only", group)
                self.assertEqual(status, 0, output)
                self.assertEqual(len(self.guests()), guests, output)

    def test_a_line_that_is_missing_or_has_lost_its_last_word_is_an_error(self) -> None:
        works = [("kernel", "in_kernel"), ("user", "user_shared"), ("user", "user_owned")]
        works += [("exits", "exits-hpet"), ("eoi", "ends-yes"), ("eoi", "eoi_steps")]
        for group, name in works:
            lines = SAID[name]
            kinds = {line.split()[0]: number for number, line in enumerate(lines)}
            for number in [*kinds.values()][-3:]:
                before, line, after = lines[:number], lines[number], lines[number + 1 :]
                for instead in ([], [line.rsplit(" ", 1)[0]]):
                    with self.subTest(work=name, line=line, instead=instead):
                        self.say(name, [*before, *instead, *after])
                        status, output = self.short(group)
                        self.assertEqual(status, 1, output)
                        self.assertIn(f"bench/run: {group}: ", output)
            self.say(name, lines)

    def test_the_group_steal_misses_what_is_not_there(self) -> None:
        # Its programs take seconds to compile: one line of each kind.
        lines = SAID["all"]
        for name, wrong in (
            ("all", lines[1:]),
            ("all", [line for line in lines if line != "timing on rdtsc 100 2500"]),
            ("all", lines[:-1]),
            ("counted", TURNS[:-1]),
            ("executed", EXECUTED[:-1]),
        ):
            with self.subTest(name=name):
                self.say(name, wrong)
                status, output = self.short("steal")
                self.assertEqual(status, 1, output)
                self.assertIn("bench/run: steal: ", output)
                self.say(name, EXECUTED if name == "executed" else list(SAID[name]))

    def test_what_the_host_has_not_counted_is_an_error(self) -> None:
        for group, work in (("exits", "exits-hpet"), ("eoi", "ends-yes")):
            with self.subTest(group=group):
                nothing = {
                    "total": 0,
                    "reasons": {},
                    "kvm_eoi_vectors": {},
                    "kvm_pv_eoi_vectors": {},
                }
                (self.said / work).with_suffix(".exits").write_text(json.dumps(nothing))
                status, output = self.short(group)
                self.assertEqual(status, 1, output)
                self.assertIn(f"bench/run: {group}: ", output)

    def test_a_guest_that_says_nothing_is_an_error(self) -> None:
        (self.folder / "scripts/guest").write_text("#!/bin/sh\n")
        for group in ("kernel", "user", "exits", "steal", "eoi"):
            with self.subTest(group=group):
                status, output = self.short(group)
                self.assertEqual(status, 1, output)

    def test_a_guest_that_fails_is_an_error_that_names_the_work(self) -> None:
        guest = self.folder / "scripts/guest"
        guest.write_text("#!/bin/sh\necho work 0\necho work 1\nexit 3\n")
        status, output = self.short("exits")
        self.assertEqual(status, 1, output)
        self.assertIn("ended with exit status 3 at: sh /bench/guest.sh exits kvmpv", output)

    def test_a_number_passed_as_a_bool_does_not_compile(self) -> None:
        for group, name in (("cpu", "user_space.cc"), ("steal", "steal_user_space.cc")):
            with self.subTest(program=name):
                with (self.folder / "bench" / name).open("a") as file:
                    file.write("\nvoid takes(bool);\nvoid gives(u64 ns) { takes(ns); }\n")
                status, output = self.short(group)
                self.assertEqual(status, 1, output)
                self.assertRegex(output, "could not convert .* to .StrictBool")


if __name__ == "__main__":
    unittest.main()
