# SPDX-License-Identifier: GPL-2.0-only
"""Results that end too early are failed cases, whatever the parser makes of them."""

from __future__ import annotations

import sys
import unittest

from built import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

from ktap import cases

WHOLE = """\
KTAP version 1
1..1
    KTAP version 1
    # Subtest: suite
    1..2
    ok 1 first
    ok 2 second
ok 1 suite
"""


# The parser comes with the debug kernel's source; the bare machine has none (tests/bare_inside.py).
class Ktap_debug_kernel(unittest.TestCase):
    def test_a_whole_list_passes(self) -> None:
        names = [(case.name, case.passed) for case in cases(WHOLE)]
        self.assertEqual(names, [("suite.first", True), ("suite.second", True)])

    def test_what_is_cut_off_has_failed(self) -> None:
        lines = WHOLE.splitlines(keepends=True)
        for kept in range(1, len(lines)):
            text = "".join(lines[:kept])
            self.assertFalse(all(case.passed for case in cases(text)), text)

    def test_a_list_within_a_list_that_ends_at_once_has_failed(self) -> None:
        lines = WHOLE.splitlines(keepends=True)
        text = "".join([*lines[:3], *lines[5:]])
        self.assertEqual([(case.name, case.passed) for case in cases(text)], [("ktap", False)])

    def test_no_list_at_all_has_failed(self) -> None:
        self.assertFalse(all(case.passed for case in cases("")))


if __name__ == "__main__":
    unittest.main()
