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

from lab.debian_kernel import KERNELS
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
        """dkms.conf says so; docs/kernels.md and the kernels of the lab have to agree."""
        series = [tuple(map(int, recipe.series.split("."))) for recipe in KERNELS.values()]
        oldest, newest = min(series), max(series)
        document = (ROOT / "docs/kernels.md").read_text()
        table = document.split("## Kernels tried")[1].split("\n## ")[0]
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

        # 6.19 was the last of its kind.
        between = [(6, minor) for minor in range(20)] + [(7, minor) for minor in range(20)]
        for release in between:
            self.assertEqual(meant(*release), {oldest <= release <= newest}, release)
        for release in ((5, 10), (6, 120), (7, 30), (8, 0), (16, 1), (17, 1), (67, 1)):
            self.assertEqual(meant(*release), {False}, release)


if __name__ == "__main__":
    unittest.main()
