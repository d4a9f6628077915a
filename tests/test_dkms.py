# SPDX-License-Identifier: GPL-2.0-only
"""DKMS builds, installs and removes the module for the stock kernels, and skips others."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from built import ROOT, STOCK_KERNELS

from lab.kernels import kernel
from trees import copy_with_a_small_module


class Dkms(unittest.TestCase):
    def test_install_for_two_kernels_and_remove(self) -> None:
        kernels = [kernel(name) for name in STOCK_KERNELS]
        namespace = ["unshare", "--mount"]
        if os.geteuid() != 0:
            namespace.append("--map-root-user")
        folder = Path(tempfile.mkdtemp(prefix="kvmpv-dkms-"))
        self.addCleanup(shutil.rmtree, folder)
        copy_with_a_small_module(folder / "small")
        arguments = [str(folder / "small"), *(f"{k.release}={k.build}" for k in kernels)]
        done = subprocess.run(
            [*namespace, "sh", "tests/dkms.sh", *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_it_is_for_kernels_from_6_1_to_the_newest_that_was_tried(self) -> None:
        """dkms.conf, the table in README and the kernels of the lab have to agree."""
        oldest, newest = (tuple(map(int, STOCK_KERNELS[i].split("."))) for i in (0, -1))
        table = (ROOT / "README.md").read_text().split("## Kernels tried")[1].split("\n## ")[0]
        releases = re.findall(r"\b(\d+)\.(\d+)\.\d+", table)
        tried = [tuple(map(int, release)) for release in releases]
        self.assertEqual((min(tried), max(tried)), (oldest, newest))

        config = (ROOT / "dkms.conf").read_text()
        (pattern,) = re.findall(r'^BUILD_EXCLUSIVE_KERNEL="(.*)"$', config, re.MULTILINE)
        endings = ("", ".0", ".117", "+deb13-amd64", "-rc1", ".0-56-amd64", ".117+deb12-amd64")

        def meant(major: int, minor: int) -> set[bool]:
            releases = [f"{major}.{minor}{ending}" for ending in endings]
            # dkms has bash evaluate it, and so does this test.
            answers = subprocess.run(
                ["bash", "-c", "for r; do [[ $r =~ $0 ]] && echo yes || echo no; done", pattern]
                + releases,
                capture_output=True,
                text=True,
                check=True,
            )
            return {line == "yes" for line in answers.stdout.split()}

        for minor in range(oldest[1], newest[1] + 1):
            self.assertEqual(meant(6, minor), {True}, minor)
        later = newest[1] + 1
        for release in ((5, 10), (6, 0), (6, later), (6, 16), (6, 120), (7, 1), (7, 3), (16, 1)):
            self.assertEqual(meant(*release), {False}, release)


if __name__ == "__main__":
    unittest.main()
