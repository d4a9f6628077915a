# SPDX-License-Identifier: GPL-2.0-only
"""What is kept of the results of tests/check, and what docs/kernels.md makes of it."""

from __future__ import annotations

import unittest
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from typing import Any

from built import ROOT
from results import Result, Results, parse, text

RELEASE = "7.3.4+deb13-amd64"
LOADER = SourceFileLoader("kernels_table", str(ROOT / "scripts/kernels-table"))


def table() -> Any:
    spec = spec_from_loader(LOADER.name, LOADER)
    assert spec is not None
    module = module_from_spec(spec)
    LOADER.exec_module(module)
    return module


def of(*found: Result) -> Results:
    return {(result.group, result.kernel): result for result in found}


class Kept(unittest.TestCase):
    def test_the_last_run_holds(self) -> None:
        first, second = (Result("shared", "7.3", RELEASE, n, 0, 60) for n in (93, 94))
        self.assertEqual(parse(first.line() + second.line()), of(second))

    def test_what_is_written_is_read(self) -> None:
        found = [Result("bench, short", "6.12", "6.12.117+deb12-amd64", 2, 0, 406)]
        found.append(Result("sources and objects", "-", "-", 119, 1, 517))
        self.assertEqual(parse(text(found)), of(*found))

    def test_a_group_that_is_gone_is_forgotten(self) -> None:
        stays = Result("shared", "7.3", RELEASE, 94, 0, 60)
        gone = [
            Result("of-old", "7.3", RELEASE, 1, 0, 1),
            Result("shared", "5.10", "5.10", 1, 0, 1),
        ]
        self.assertEqual(table().merge(of(stays), of(*gone)), [stays])


class Row(unittest.TestCase):
    """The row of a kernel in docs/kernels.md."""

    def row(self, *found: Result) -> list[str]:
        row: list[str] = table().tried(of(*found), "7.3")
        return row

    def result(self, group: str, passed: int, failed: int = 0) -> Result:
        return Result(group, "7.3", RELEASE, passed, failed, 60)

    def test_nothing_has_run(self) -> None:
        self.assertEqual(self.row(), ["`7.3`", "", "", "", "", "", "-"])

    def test_all_has_passed(self) -> None:
        found = [self.result("build", 1), self.result("everywhere-owned", 26)]
        found += [self.result("shared", 94), self.result("owned", 98)]
        *cells, scenarios, kunit = self.row(*found)
        self.assertEqual(cells, ["`7.3`", RELEASE, "yes", "", "26"])
        self.assertRegex(scenarios, r"^2 of \d\d: 192$")
        self.assertEqual(kunit, "-")

    def test_what_failed_is_shown(self) -> None:
        found = [self.result("build", 0, 1), self.result("everywhere-shared", 25, 1)]
        _, _, build, shared, owned, scenarios, _ = self.row(*found, self.result("shared", 0, 2))
        self.assertEqual((build, shared, owned), ("no", "25, 1 failed", ""))
        self.assertRegex(scenarios, r"^1 of \d\d: 0, 2 failed$")


if __name__ == "__main__":
    unittest.main()
