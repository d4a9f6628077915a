# SPDX-License-Identifier: GPL-2.0-only
"""`make bench` fails if a figure is missing, and if one of its programs passes a number as a bool.

No guest is booted. A script in place of scripts/guest prints what a guest would print.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from built import ROOT

NEEDED = ("bench", "include", "src", "scripts/lab", "tests/guest")
GUEST = '#!/bin/sh\ncat "$SAID"\n'

CLOCKS = ("kvmpv", "kvm-clock", "hpet")
LOOPS = ("nothing", "irq-off", "preempt-off")
# Two rounds of what guest.sh prints for the group `kernel`.
SAID = (
    *(f"offered {clock}" for clock in CLOCKS),
    *(
        f"timing {cpus} {round} {clock} 1000 50000"
        for cpus in (1, 4)
        for round in (0, 1)
        for clock in CLOCKS + LOOPS
    ),
    *(f"steps {clock} 27" for clock in CLOCKS),
)


class Bench(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kvmpv-bench-"))
        self.addCleanup(shutil.rmtree, self.folder)
        for name in NEEDED:
            shutil.copytree(ROOT / name, self.folder / name)
        guest = self.folder / "scripts/guest"
        guest.write_text(GUEST)
        guest.chmod(0o755)

    def bench(self, group: str, said: tuple[str, ...] = ()) -> tuple[int, str]:
        file = self.folder / "said"
        file.write_text("".join(f"{line}\n" for line in said))
        done = subprocess.run(
            ["bench/run", "--short", "--only", group],
            cwd=self.folder,
            env={**os.environ, "SAID": str(file)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode, done.stdout

    def test_all_figures_make_all_tables(self) -> None:
        status, output = self.bench("kernel", SAID)
        self.assertEqual(status, 0, output)
        self.assertIn("tables with each cell filled: 4", output)
        self.assertEqual(output.count("NOT TO BE QUOTED"), 4, output)

    def test_a_missing_figure_is_an_error(self) -> None:
        for line in ("offered hpet", "timing 4 1 hpet 1000 50000", "steps kvm-clock 27"):
            with self.subTest(missing=line):
                status, output = self.bench("kernel", tuple(one for one in SAID if one != line))
                self.assertEqual(status, 1, output)
                self.assertIn("bench/run: kernel: ", output)

    def test_a_line_without_its_figure_is_an_error(self) -> None:
        for line in ("steps kvmpv 27", "timing 1 0 kvmpv 1000 50000"):
            with self.subTest(without_its_last_word=line):
                cut = line.rsplit(" ", 1)[0]
                said = tuple(cut if one == line else one for one in SAID)
                status, output = self.bench("kernel", said)
                self.assertEqual(status, 1, output)
                self.assertIn("fields, not", output)

    def test_a_guest_that_says_nothing_is_an_error(self) -> None:
        for group in ("kernel", "user", "exits", "steal", "eoi"):
            with self.subTest(group=group):
                status, output = self.bench(group)
                self.assertEqual(status, 1, output)

    def test_a_number_passed_as_a_bool_does_not_compile(self) -> None:
        for group, name in (("cpu", "user_space.cc"), ("steal", "steal_user_space.cc")):
            with self.subTest(program=name):
                with (self.folder / "bench" / name).open("a") as file:
                    file.write("\nvoid takes(bool);\nvoid gives(u64 ns) { takes(ns); }\n")
                status, output = self.bench(group)
                self.assertEqual(status, 1, output)
                self.assertRegex(output, "could not convert .* to .StrictBool")


if __name__ == "__main__":
    unittest.main()
