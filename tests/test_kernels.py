# SPDX-License-Identifier: GPL-2.0-only
"""What the lab makes of a Debian kernel's packages, wherever they have their files."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import built  # noqa: F401  it finds lab
from lab import LabError, debian_kernel
from lab.kernels import NAMES
from scenarios import SCENARIOS

RELEASE = "7.3.4+deb13-amd64"
HEADERS = f"linux-headers-{RELEASE}"
COMMON = "linux-headers-7.3.4+deb13-common"
# What the common Makefile would build, and where.
COMMON_MAKEFILE = """\
here := $(realpath $(dir $(lastword $(MAKEFILE_LIST))))
all:
	@echo '$(here) $(KBUILD_OUTPUT)'
"""


class Unpacked(unittest.TestCase):
    def setUp(self) -> None:
        # As an entry of the cache it is moved when it is ready.
        self.folder = Path(tempfile.mkdtemp(prefix="kvmpv-kernels-")).resolve()
        self.addCleanup(shutil.rmtree, self.folder)
        self.making, self.entry = self.folder / "making", self.folder / "entry"
        for name in (HEADERS, COMMON):
            (self.making / "usr/src" / name).mkdir(parents=True)
        (self.making / "usr/src" / COMMON / "Makefile").write_text(COMMON_MAKEFILE)

    def relocate(self, makefile: str) -> None:
        headers = self.making / "usr/src" / HEADERS
        (headers / "Makefile").write_text(makefile)
        modules = self.making / "lib/modules" / RELEASE
        modules.mkdir(parents=True, exist_ok=True)
        debian_kernel._relocate(headers, modules)
        self.making.rename(self.entry)

    def build_says(self) -> str:
        build = self.entry / "lib/modules" / RELEASE / "build"
        command = ["make", "-s", "--no-print-directory", "-C", str(build)]
        return subprocess.check_output(command, text=True).strip()

    def test_headers_of_one_line(self) -> None:
        self.relocate(f"include /usr/src/{COMMON}/Makefile\n")
        self.assertEqual(self.build_says(), f"{self.entry}/usr/src/{COMMON}")

    def test_headers_that_say_where_to_build(self) -> None:
        self.relocate(
            f"KBUILD_OUTPUT=/usr/src/{HEADERS}\ninclude /usr/src/{COMMON}/Makefile\n",
        )
        places = f"{self.entry}/usr/src/{COMMON} {self.entry}/usr/src/{HEADERS}"
        self.assertEqual(self.build_says(), places)

    def test_headers_of_another_kind_are_said(self) -> None:
        with self.assertRaisesRegex(LabError, "includes no common one but: all:"):
            self.relocate("all:\n")

    def test_everything_is_where_it_was_before_7_x(self) -> None:
        new = self.making / "usr/lib/modules" / RELEASE
        new.mkdir(parents=True)
        for name in ("vmlinuz", "modules.builtin"):
            (new / name).write_text(name)
        debian_kernel._as_before(self.making, RELEASE)
        old = self.making / "lib/modules" / RELEASE
        self.assertEqual([file.name for file in old.iterdir()], ["modules.builtin"])
        self.assertEqual((self.making / "boot" / f"vmlinuz-{RELEASE}").read_text(), "vmlinuz")


class Table(unittest.TestCase):
    def test_every_kernel_runs_all_that_the_module_does(self) -> None:
        # It looks by debugfs. Where there is none, no_debugfs.sh does the same without.
        expected = sorted(name for name in NAMES if name != "no-debugfs")
        for mode in ("shared", "owned"):
            (scenario,) = (s for s in SCENARIOS if s.name == f"everywhere-{mode}")
            self.assertEqual(sorted(scenario.kernels), expected)

    def test_every_tier_is_one_that_the_tests_know(self) -> None:
        tiers = {recipe.tier for recipe in debian_kernel.KERNELS.values()}
        self.assertLessEqual(tiers, set(debian_kernel.TIERS))

    def test_make_check_looks_at_every_feature_of_a_kernel_of_the_tier_part(self) -> None:
        for kernel in debian_kernel.of_tier("part"):
            checked = [s for s in SCENARIOS if kernel in s.kernels_of(everything=False)]
            commands = " ".join(word for s in checked for word in (s.command, *s.options))
            for feature in ("life/everywhere", "clock/", "steal", "eoi/"):
                self.assertIn(feature, commands)

    def test_what_runs_on_every_whole_kernel_runs_on_the_newest_or_says_why_not(self) -> None:
        whole, part = (set(debian_kernel.of_tier(tier)) for tier in ("whole", "part"))
        for scenario in SCENARIOS:
            if whole <= set(scenario.kernels):
                runs = {*scenario.kernels, *scenario.cannot}
                self.assertLessEqual(part, runs, scenario.name)


if __name__ == "__main__":
    unittest.main()
