# SPDX-License-Identifier: GPL-2.0-only
"""scripts/pictures plots what `make bench` prints. The pictures themselves are made by hand."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import unittest
from types import ModuleType

from built import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

from lab import LabError

PRINTED = """\

One read in the kernel, 6.12, stable host, 1 CPU; median of 51 rounds
  clock               ns  ratio to kvm-clock  instructions
  kvmpv             67.9                0.47            27
  kvm-clock        132.0                1.00            42
  hpet          208000.0             1124.00            45
  nothing           18.7                0.14             -

One read in the kernel, 6.12, stable host, 4 CPUs at once; median of 51 rounds
  clock               ns  ratio to kvm-clock  instructions
  kvmpv            136.0                0.82            27
"""


def pictures() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("pictures", str(ROOT / "scripts/pictures"))
    spec = importlib.util.spec_from_loader("pictures", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


class Plot(unittest.TestCase):
    def test_rows_of_the_one_table_without_what_is_no_clock(self) -> None:
        self.assertEqual(
            pictures().clock_reads(PRINTED, "6.12"),
            [("kvmpv", 0.47, 27), ("kvm-clock", 1.0, 42), ("hpet", 1124.0, 45)],
        )

    def test_a_table_that_is_missing_or_there_twice_is_an_error(self) -> None:
        for printed in ("", PRINTED * 2):
            self.assertRaises(LabError, pictures().clock_reads, printed, "6.12")
        self.assertRaises(LabError, pictures().clock_reads, PRINTED, "6.1")


if __name__ == "__main__":
    unittest.main()
