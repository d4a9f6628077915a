# SPDX-License-Identifier: GPL-2.0-only
"""What modinfo says of each parameter: unit, range and default, as the module has them and docs/usage.md says."""

from __future__ import annotations

import re
import subprocess
import unittest

from built import ROOT, modules_of_stock_kernels
from lab.packages import tool

Numbers = tuple[int, int, int]  # lowest, highest, default


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def ranges_of_the_module() -> dict[str, tuple[int, int]]:
    """Those that loading checks (src/module.cc)."""
    (highest,) = re.findall(r"kMaxClockRating = (\d+);", read("src/clock/clock.hh"))
    text = read("src/module.cc").replace("kMaxClockRating", highest)
    (lowest, highest) = re.findall(r"return Range\{name, .*?, (-?\d+), (-?\d+),", text)[0]
    found = {name: (int(lowest), int(highest)) for name in re.findall(r'at_start\("(\w+)",', text)}
    for name, low, high in re.findall(r'\{"(\w+)", given\.[\w[\]]+, (-?\d+), (-?\d+),', text):
        found[name] = (int(low), int(high))
    return found


def defaults_of_the_module() -> dict[str, int]:
    text = read("src/linux/module_entry.c")
    found = {name: 0 for name in re.findall(r"^static int (\w+);", text, re.MULTILINE)}
    for pattern in (
        r"^static int (\w+) = (-?\d+);",
        r"^static struct switch_parameter (\w+) = \{ \w+, (-?\d+) \};",
    ):
        found |= {name: int(value) for name, value in re.findall(pattern, text, re.MULTILINE)}
    return found


class Modinfo(unittest.TestCase):
    maxDiff = None

    def setUp(self) -> None:
        ranges, defaults = ranges_of_the_module(), defaults_of_the_module()
        self.assertGreater(len(ranges), 5)
        self.module: dict[str, Numbers] = {name: (*ranges[name], defaults[name]) for name in ranges}

    def test_it_says_unit_range_and_default_of_every_parameter(self) -> None:
        for built in modules_of_stock_kernels():
            said = subprocess.check_output(
                [tool("modinfo"), "-F", "parm", str(built.file)], text=True
            )
            found: dict[str, Numbers] = {}
            for line in said.splitlines():
                name, _, text = line.partition(":")
                end = re.search(
                    r"\(unit: [a-z ]+, range: (-?\d+) to (-?\d+), default: (-?\d+)\)"
                    r"(?: \(int\))?$",
                    text,
                )
                self.assertIsNotNone(end, line)
                assert end is not None
                found[name] = (int(end[1]), int(end[2]), int(end[3]))
            self.assertEqual(found, self.module, built.release)

    def test_the_document_says_the_same(self) -> None:
        section = read("docs/usage.md").split("## Parameters\n")[1].split("\n## ")[0]
        rows = re.findall(r"^\| `(\w+)` \| (-?\d+) to (-?\d+) \| (-?\d+) \|", section, re.MULTILINE)
        found = {name: (int(low), int(high), int(default)) for name, low, high, default in rows}
        self.assertEqual(found, self.module)


if __name__ == "__main__":
    unittest.main()
