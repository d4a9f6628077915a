# SPDX-License-Identifier: GPL-2.0-only
"""The version is that of include/kvmpv/boundary.h, wherever it is written."""

from __future__ import annotations

import re
import unittest

from built import ROOT


def in_file(name: str, pattern: str) -> str:
    """What the pattern finds first in the file."""
    found = re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None, f"{name} says no version"
    return found[1]


class Version(unittest.TestCase):
    def test_every_file_says_the_same(self) -> None:
        version = in_file("include/kvmpv/boundary.h", r'^#define KVMPV_VERSION "(\d+\.\d+\.\d+)"$')
        for name, pattern in (
            ("dkms.conf", r'^PACKAGE_VERSION="(.*)"$'),
            ("debian/changelog", r"^kvmpv \((.*)\) "),
            ("CHANGELOG.md", r"^## (.*)$"),
            ("docs/debugfs.md", r"^- KernelVersion: .* \(kvmpv (.*)\)$"),
            ("docs/debugfs.md", r"^ +kvmpv ([^ ,]+), KVM at CPUID"),
        ):
            with self.subTest(name):
                self.assertEqual(in_file(name, pattern), version)


if __name__ == "__main__":
    unittest.main()
