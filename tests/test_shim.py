# SPDX-License-Identifier: GPL-2.0-only
"""What --shim understands, which rule it goes by, and what it makes of KVM's filter."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from built import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

from lab import LabError, shim
from lab.beside import Access
from lab.options import Options

CLOCK = 0x4B564D01

# Each with the words by which it is refused.
WRONG = {
    "": "'': something is missing: no bit and no rule",
    "+17;": "'': something is missing: no bit and no rule",
    " ; +17": "' ': no bit and no rule",
    "boom": "'boom': none of +BIT, -BIT, refuse, ignore, serve and watch",
    "REFUSE 0x11": "'REFUSE': none of",
    "+32": "'+32': no bit of the feature word, which are 0 to 31",
    "+": "'+': no bit",
    "-x": "'-x': no bit",
    "+1;-1": "'-1': this bit has been named before",
    "+1 cpu 0": "'cpu': a bit has no options",
    "refuse": "'': something is missing: no number of an MSR",
    "refuse reed 0x11": "'reed': no number of an MSR",
    "refuse 0x": "'0x': no number of an MSR",
    "refuse 0x1G": "'0x1G': no number of an MSR",
    "refuse 0x100000000": "'0x100000000': no number of an MSR",
    "refuse 0x10000000000000011": "no number of an MSR",
    "ignore write 0x11": "'write': no number of an MSR",
    "watch read 0x800": "'0x800': an MSR of x2APIC",
    "watch 0x8ff": "'0x8ff': an MSR of x2APIC",
    "serve 0x11": "'': something is missing: no value for the MSR to begin with",
    "serve 0x11 many": "'many': no value for the MSR to begin with",
    "refuse 0x11 cpu": "'cpu': there is no number after it",
    "refuse 0x11 cpu one": "'cpu': there is no number after it",
    "refuse 0x11 cpu 256": "'256': no vCPU, which are 0 to 255",
    "refuse 0x11 from 0": "'from': the first is 1",
    "refuse 0x11 times 0": "'times': the first is 1",
    "refuse 0x11 when": "'when': there is no name after it",
    "refuse 0x11 at 1": "'at': none of cpu, from, times and when",
    ";".join(["watch 0x11"] * 13): "'watch': one rule too many, 12 are possible",
}

RIGHT = (
    "+17",
    "-0;+31",
    "  refuse   write 0x4b564d01  cpu 255 from 2 times 3 when armed ; +17 ",
    "serve 0x4b564d08 0xffffffffffffffff",
    "watch 0x7ff; watch 0x900; watch 4294967295",
    ";".join(["watch 0x11"] * 12),
)


class Grammar(unittest.TestCase):
    def test_a_wrong_spec_is_refused_in_one_sentence(self) -> None:
        for spec, said in WRONG.items():
            with self.subTest(spec), self.assertRaises(LabError) as refused:
                Options("true", shim=spec)
            self.assertTrue(str(refused.exception).startswith("--shim: '"), refused.exception)
            self.assertIn(said, str(refused.exception))
            self.assertNotIn("\n", str(refused.exception))

    def test_a_right_one_is_taken(self) -> None:
        for spec in RIGHT:
            with self.subTest(spec):
                Options("true", shim=spec)

    def test_a_sentence_that_is_too_long_is_cut_off(self) -> None:
        with self.assertRaises(LabError) as refused:
            shim.check("x" * 1000)
        self.assertEqual(len(str(refused.exception)), len("--shim: ") + shim.LONGEST - 1)
        with self.assertRaises(LabError):
            shim.check("+1\0")

    def test_it_stands_before_qemu(self) -> None:
        env, preload, *rest = shim.words("+17", "/run")
        self.assertEqual((env, preload), ("/usr/bin/env", f"LD_PRELOAD={shim.LIBRARY}"))
        self.assertEqual(
            rest,
            ["KVMPV_SHIM=+17", "KVMPV_SHIM_LOG=/run/shim.log", "KVMPV_SHIM_ON=/run/shim.on"],
        )

    def test_a_line_of_the_log(self) -> None:
        line = f"write 1 {CLOCK:#x} 0x8041 refused"
        self.assertEqual(Access.parse(line), Access(True, 1, CLOCK, 0x8041, "refused"))


class Rules(unittest.TestCase):
    program: Path

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory(prefix="kvmpv-shim-")
        cls.addClassCleanup(folder.cleanup)
        cls.program = Path(folder.name) / "shim_rules"
        compiler = ["g++-12", "-std=gnu++20", "-O1", "-Wall", "-Wextra", "-Werror"]
        compiler += ["-fsanitize=address,undefined", "-fno-sanitize-recover"]
        source = "tests/shim_rules.cc"
        subprocess.run([*compiler, "-Iinclude", "-o", cls.program, source], cwd=ROOT, check=True)

    def said(self, spec: str, *lines: str) -> list[str]:
        done = subprocess.run(
            [self.program, spec],
            input="".join(f"{line}\n" for line in lines),
            capture_output=True,
            text=True,
            check=True,
        )
        return [line.strip() for line in done.stdout.splitlines()]

    def judged(self, spec: str, *lines: str) -> list[str]:
        return self.said(spec, *lines)[1:]

    def test_bits(self) -> None:
        self.assertEqual(self.said("+17;-5; +31"), ["added 80020000 taken 20"])

    def test_what_a_rule_is_about(self) -> None:
        lines = ("write 0 0x11 1", "read 0 0x11", "write 1 0x11 1", "write 0 0x12 1")
        cases = {
            "refuse 0x11": ["refuse", "refuse", "refuse", "not ours, let"],
            "refuse write 0x11": ["refuse", "not ours, let", "refuse", "not ours, let"],
            "refuse read 0x11": ["not ours, let", "refuse", "not ours, let", "not ours, let"],
            "ignore 0x11": ["ignore", "not ours, let", "ignore", "not ours, let"],
            "watch 0x11": ["let", "let", "let", "not ours, let"],
            "refuse 0x11 cpu 1": ["let", "let", "refuse", "not ours, let"],
            "refuse 17 cpu 0": ["refuse", "refuse", "let", "not ours, let"],
        }
        for spec, verdicts in cases.items():
            with self.subTest(spec):
                self.assertEqual(self.judged(spec, *lines), verdicts)

    def test_moments(self) -> None:
        five = ["write 0 0x11 1"] * 5
        let = ["let"]
        cases = {
            "refuse 0x11 from 3": [*let * 2, *["refuse"] * 3],
            "refuse 0x11 times 2": [*["refuse"] * 2, *let * 3],
            "refuse 0x11 from 2 times 2": ["let", "refuse", "refuse", *let * 2],
            "refuse 0x11 from 5 times 18446744073709551615": [*let * 4, "refuse"],
        }
        for spec, verdicts in cases.items():
            with self.subTest(spec):
                self.assertEqual(self.judged(spec, *five), verdicts)

    def test_only_what_fits_is_counted(self) -> None:
        spec = "refuse write 0x11 cpu 1 from 2 when armed"
        lines = {
            "write 1 0x11 1": "let",
            "write 1 0x11 1 other": "let",
            "write 1 0x11 1 armed": "let",  # the first
            "write 0 0x11 1 armed": "let",
            "read 1 0x11 armed": "not ours, let",
            "write 1 0x11 1 disarmed": "let",
            "write 1 0x11 1 other armed": "refuse",
        }
        self.assertEqual(self.judged(spec, *lines), list(lines.values()))

    def test_the_first_rule_in_force_counts(self) -> None:
        spec = "refuse write 0x11 cpu 1 times 1; ignore 0x11 when deaf; serve 0x11 7"
        lines = (
            "write 1 0x11 9",
            "write 1 0x11 9 deaf",
            "write 1 0x11 9",
            "read 1 0x11",
            "read 0 0x11",
        )
        verdicts = ["refuse", "ignore", "serve 9", "serve 9", "serve 7"]
        self.assertEqual(self.judged(spec, *lines), verdicts)

    def test_the_filter_has_our_msrs_first_and_keeps_qemus(self) -> None:
        spec = "refuse write 0x11; watch read 0x12; serve 0x13 0"
        self.assertEqual(self.judged(spec, "filter 0"), ["11+1:2 12+1:1 13+1:3"])
        self.assertEqual(self.judged(spec, "filter 2"), ["11+1:2 12+1:1 13+1:3 0+8:3 1+8:3"])
        self.assertEqual(self.judged("+17", "filter 1"), ["0+8:3"])

    def test_a_filter_without_room_stays_as_it_is(self) -> None:
        twelve = ";".join(["watch 0x11"] * 12)
        [full] = self.judged(twelve, "filter 4")
        self.assertEqual(len(full.split()), 16)
        [none] = self.judged(twelve, "filter 5")
        self.assertEqual(none, "no room, 0+8:3 1+8:3 2+8:3 3+8:3 4+8:3")


if __name__ == "__main__":
    unittest.main()
