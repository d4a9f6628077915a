# SPDX-License-Identifier: GPL-2.0-only
"""`make install` and `make uninstall`, below another root."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from built import ROOT
from lab.kernels import kernel
from lab.packages import tool


class Install(unittest.TestCase):
    def setUp(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="kvmpv-install-"))
        self.addCleanup(shutil.rmtree, self.root)
        self.kernel = kernel("6.12")

    def make(self, goal: str) -> None:
        environment = {**os.environ, "PATH": f"/usr/sbin:/sbin:{os.environ['PATH']}"}
        subprocess.run(
            ["make", goal, f"KDIR={self.kernel.build}", f"INSTALL_MOD_PATH={self.root}"],
            cwd=ROOT,
            env=environment,
            check=True,
            capture_output=True,
        )

    def modprobe(self) -> subprocess.CompletedProcess[str]:
        """Where modprobe would find the module."""
        return subprocess.run(
            [tool("modprobe"), "-d", str(self.root), "-S", self.kernel.release]
            + ["--show-depends", "kvmpv"],
            capture_output=True,
            text=True,
        )

    def test_modprobe_finds_it_until_it_is_uninstalled(self) -> None:
        folder = self.root / "lib/modules" / self.kernel.release / "updates"
        self.make("install")
        self.assertEqual(self.modprobe().stdout.split(), ["insmod", str(folder / "kvmpv.ko")])
        self.assertEqual([file.name for file in folder.iterdir()], ["kvmpv.ko"])
        self.make("uninstall")
        self.assertNotEqual(self.modprobe().returncode, 0)
        self.assertEqual(list(folder.iterdir()), [])


if __name__ == "__main__":
    unittest.main()
