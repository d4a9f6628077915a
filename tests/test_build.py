# SPDX-License-Identifier: GPL-2.0-only
"""The build fails where it has to: kbuild's rules make it easy to lose a compiler's exit status."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from built import ROOT
from lab.kernels import kernel

SOURCES = ("Makefile", "Kbuild", "include", "src", "kunit", "bench", "scripts")


class Build(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kvmpv-build-"))
        self.addCleanup(shutil.rmtree, self.folder)
        for name in SOURCES:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, self.folder / name)
            else:
                shutil.copy(source, self.folder / name)

    def make(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", "modules", f"KDIR={kernel('6.12').build}"],
            cwd=self.folder,
            capture_output=True,
            text=True,
        )

    def break_with(self, text: str) -> None:
        # The first object of all, so that nothing else is compiled in vain.
        with (self.folder / "src/clock.cc").open("a") as file:
            file.write(text)

    def test_an_error_in_cxx_fails_the_build(self) -> None:
        self.break_with("\nint not_cxx = ;\n")
        done = self.make()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("expected primary-expression", done.stderr)
        self.assertNotIn("built", done.stdout)

    def test_cxx_that_needs_a_runtime_fails_the_build(self) -> None:
        self.break_with("\nint* needs_a_runtime() { return new int; }\n")
        done = self.make()
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn("built", done.stdout)


if __name__ == "__main__":
    unittest.main()
