# SPDX-License-Identifier: GPL-2.0-only
"""The sources keep the border between C++ and the kernel."""

from __future__ import annotations

import re
import unittest
from pathlib import Path

from built import ROOT

CXX = [".cc", ".hh"]
TEXTS = [*CXX, ".c", ".h", ".py", ".sh", ""]
STANDARD_HEADERS = ROOT / "include/kvmpv/std.hh"
# A room includes itself and what stands below it. The files above all rooms may include any of them.
ROOMS = (
    "files",
    "sampler",
    "halt_poll",
    "async_pf",
    "migration",
    "eoi",
    "ipi",
    "steal",
    "clock",
    "events",
    "slot",
    "base",
)
# Likewise the program for people.
TOOL_ROOMS = ("commands", "rules", "top", "record", "change", "wait", "say", "read")
# What stands below all rooms: the border to the kernel, and to the machine.
BELOW = ('"boundary.h"', '"x86.hh"')


def sources(*folders: str, endings: list[str]) -> list[Path]:
    return sorted(
        file
        for folder in folders
        for file in (ROOT / folder).rglob("*")
        if file.suffix in endings and file.is_file()
    )


def includes(file: Path) -> list[str]:
    return re.findall(r'^\s*#\s*include\s*([<"][^>"]+[>"])', file.read_text(), re.MULTILINE)


def lines_of_code(file: Path) -> int:
    text = re.sub(r"/\*.*?\*/", "", file.read_text(), flags=re.DOTALL)
    return sum(1 for line in text.splitlines() if line.split("//")[0].strip())


class Border(unittest.TestCase):
    def test_cxx_includes_no_kernel_header(self) -> None:
        for file in sources("src", "include", "kunit", endings=CXX):
            if file == STANDARD_HEADERS:
                continue
            for name in includes(file):
                self.assertTrue(
                    name.startswith('"'), f"{file}: {name}; only std.hh names system headers"
                )

    def test_includes_go_down_the_rooms_only(self) -> None:
        src = ROOT / "src"
        rooms = {file.parent.name for file in sources("src", endings=CXX) if file.parent != src}
        self.assertEqual(rooms, set(ROOMS))
        for file in sources("src", endings=CXX):
            if file.parent == src:
                continue
            above = ROOMS[: ROOMS.index(file.parent.name)]
            for name in includes(file):
                if name in BELOW:
                    continue
                room, _, rest = name.strip('"').partition("/")
                self.assertTrue(rest, f"{file}: {name} stands above all rooms")
                self.assertNotIn(room, above, f"{file}: {name}")

    def test_every_source_is_linked(self) -> None:
        lists = re.findall(
            r"addprefix (src/\w+/), ([^)]*)\)", (ROOT / "Kbuild").read_text().replace("\\\n", " ")
        )
        linked = {folder + name for folder, names in lists for name in names.split()}
        entry = ROOT / "src/linux/module_entry.c"  # kvmpv_kunit.ko has one of its own
        there = {
            str(file.relative_to(ROOT).with_suffix(".o"))
            for file in sources("src", endings=[".cc", ".c"])
            if file != entry and file.parent != ROOT / "src"
        }
        self.assertEqual(linked, there)

    def test_includes_go_down_the_rooms_of_the_tool(self) -> None:
        tool = ROOT / "tool"
        rooms = {file.parent.name for file in sources("tool", endings=CXX) if file.parent != tool}
        self.assertEqual(rooms, set(TOOL_ROOMS))
        for file in sources(*(f"tool/{room}" for room in TOOL_ROOMS), endings=CXX):
            above = TOOL_ROOMS[: TOOL_ROOMS.index(file.parent.name)]
            for name in includes(file):
                room = name.strip('"').partition("/")[0]
                self.assertFalse(name.startswith('"') and room in above, f"{file}: {name}")

    def test_algorithms_know_neither_the_kernel_nor_the_machine(self) -> None:
        for file in sources("include", endings=CXX):
            for name in includes(file):
                self.assertTrue(file == STANDARD_HEADERS or name.startswith('"kvmpv/'), str(file))

    def test_inline_assembly_stays_in_x86(self) -> None:
        for file in sources("src", "include", "kunit", endings=CXX):
            if file.name != "x86.hh":
                self.assertNotRegex(file.read_text(), r"\basm\s*(volatile)?\s*\(", str(file))

    def test_c_that_touches_the_kernel_stays_in_its_room(self) -> None:
        for file in sources("src", "include", endings=[".c", ".h"]):
            if file.name != "boundary.h":
                self.assertEqual(file.parent, ROOT / "src/linux", str(file))

    def test_each_mutex_is_initialised(self) -> None:
        """A mutex that is not initialised works until two threads contend for it."""
        named = re.findall(
            r"^\tKVMPV_(MUTEX_\w+),", (ROOT / "src/boundary.h").read_text(), re.MULTILINE
        )
        initialised = (ROOT / "src/linux/mutexes.c").read_text()
        self.assertGreater(len(named), 3)
        for name in named:
            self.assertIn(
                f"[KVMPV_{name}] = __MUTEX_INITIALIZER(mutexes[KVMPV_{name}])", initialised
            )

    def test_more_cxx_than_c(self) -> None:
        cxx = sum(map(lines_of_code, sources("src", "include", endings=CXX)))
        c = sum(map(lines_of_code, sources("src", "include", endings=[".c", ".h"])))
        self.assertGreater(cxx, c)

    def test_benchmarks_and_tests_name_nothing_of_each_other(self) -> None:
        # tests/check and test_bench.py start the benchmarks; the module kvmpv_bench.ko is an instrument of both.
        starts_it = {ROOT / "tests/check", ROOT / "tests/test_bench.py"}
        for folder, other in (("bench", "tests"), ("tests", "bench")):
            for file in (ROOT / folder).rglob("*"):
                if file.suffix in TEXTS and file.is_file() and file not in starts_it:
                    self.assertNotRegex(file.read_text(), rf"\b{other}/(?!run\b)", str(file))

    def test_every_file_says_its_licence(self) -> None:
        for file in sources(
            "src",
            "include",
            "kunit",
            "bench",
            "scripts",
            "tests",
            "tool",
            endings=[*CXX, ".c", ".h", ".py", ".sh"],
        ):
            head = "\n".join(file.read_text().splitlines()[:2])
            self.assertIn("SPDX-License-Identifier: GPL-2.0-only", head, str(file))


if __name__ == "__main__":
    unittest.main()
