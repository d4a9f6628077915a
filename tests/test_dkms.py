# SPDX-License-Identifier: GPL-2.0-only
"""DKMS builds, installs and removes the module for both stock kernels side by side."""

from __future__ import annotations

import os
import subprocess
import unittest

from built import ROOT, STOCK_KERNELS

from lab.kernels import kernel


class Dkms(unittest.TestCase):
    def test_install_for_two_kernels_and_remove(self) -> None:
        kernels = [kernel(name) for name in STOCK_KERNELS]
        namespace = ["unshare", "--mount"]
        if os.geteuid() != 0:
            namespace.append("--map-root-user")
        done = subprocess.run(
            [*namespace, "sh", "tests/dkms.sh", *(f"{k.release}={k.build}" for k in kernels)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main()
