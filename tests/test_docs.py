# SPDX-License-Identifier: GPL-2.0-only
"""What the documents name is there, and what is there is named in the documents."""

from __future__ import annotations

import re
import subprocess
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path

from built import ROOT
from scenarios import SCENARIOS

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
FOLDERS = ("src", "include", "kunit", "bench", "scripts", "tests", "tool", "docs")
MOST_LINES = 90  # of README
# A file of the tree, from its root or by its bare name.
PATH = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w.*/-]+")
NAME = re.compile(r"[\w-]+\.(?:cc|hh|[ch]|py|sh|mk|config)")
QUOTED = r'"(?:[^"\\]|\\.)*"'


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def sources(*endings: str) -> list[str]:
    files = (ROOT / "src").rglob("*")
    return [file.read_text(encoding="utf-8") for file in files if file.suffix in endings]


def words_in_backticks(text: str) -> Iterator[str]:
    """The first word of each: the rest are arguments. Indented and fenced lines are no prose."""
    prose = re.sub(r"^(```.*?^```|    .*?)$", "", text, flags=re.MULTILINE | re.DOTALL)
    for quoted in re.findall(r"`([^`\n]+)`", prose):
        yield quoted.split()[0] if quoted.split() else ""


def files_by_name() -> set[str]:
    return {file.name for folder in FOLDERS for file in (ROOT / folder).rglob("*")}


def parameters() -> set[str]:
    return {
        name
        for text in sources(".c")
        for name in re.findall(r"^module_param(?:_cb)?\((\w+),", text, re.MULTILINE)
    }


def debugfs_files() -> set[str]:
    """As the tables of `kvmpv_file` have them: {"folder", "name", show, store}."""
    found = [
        row for text in sources(".cc") for row in re.findall(r'\{"(\w*)", "(\w+)",\s*[\w:]+,', text)
    ]
    return {f"{folder}/{name}".lstrip("/") for folder, name in found}


def log_messages() -> set[str]:
    """What is logged in one piece, or in one piece before the error and the CPU."""
    text_of = rf"((?:{QUOTED}\s*)+)"
    calls = (
        rf"linux_log_(?:err|warn|info)\(\s*{text_of}\)",
        rf"\blog_error\(\s*{text_of},",
        rf"\blog_cpu_error\(\s*(?:{QUOTED}|feature_),\s*{text_of},",
        rf"\.failure = {text_of},",
    )
    text = "\n".join(sources(".cc", ".hh"))
    found = [pieces for call in calls for pieces in re.findall(call, text)]
    return {"".join(piece[1:-1] for piece in re.findall(QUOTED, pieces)) for pieces in found}


class Links(unittest.TestCase):
    def test_every_relative_link_leads_somewhere(self) -> None:
        links = [
            (document, target)
            for document in DOCUMENTS
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text())
            if "://" not in target
        ]
        self.assertGreater(len(links), 0)
        dead = [f"{at.name}: {target}" for at, target in links if not (at.parent / target).exists()]
        self.assertEqual([], dead)

    def test_every_document_is_linked_from_readme(self) -> None:
        for document in DOCUMENTS:
            if document.name != "README.md":
                self.assertIn(f"]({document.relative_to(ROOT)})", read("README.md"))

    def test_every_file_in_backticks_exists(self) -> None:
        names = files_by_name()
        files = [
            (document, word)
            for document in DOCUMENTS
            for word in words_in_backticks(document.read_text())
            # NAME and SUITE are places for a name.
            if (PATH.fullmatch(word) or NAME.fullmatch(word)) and not re.search("NAME|SUITE", word)
        ]
        self.assertGreater(len(files), 0)
        missing = [
            f"{document.name}: {word}"
            for document, word in files
            if word not in names and not any(ROOT.glob(word))
        ]
        self.assertEqual([], missing)


class Documents(unittest.TestCase):
    def test_readme_is_short(self) -> None:
        self.assertLessEqual(len(read("README.md").splitlines()), MOST_LINES)

    def test_usage_has_every_parameter_and_no_other(self) -> None:
        section = read("docs/usage.md").split("## Parameters\n")[1].split("\n## ")[0]
        rows = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
        self.assertEqual(sorted(rows), sorted(parameters()))

    def test_debugfs_has_every_file_and_no_other(self) -> None:
        named = re.findall(
            r"^## (?:What: )?/sys/kernel/debug/kvmpv/(\S+)$", read("docs/debugfs.md"), re.MULTILINE
        )
        self.assertEqual(sorted(named), sorted(debugfs_files()))

    def test_troubleshooting_has_every_message_of_the_module(self) -> None:
        messages = log_messages()
        self.assertGreater(len(messages), 20)
        text = read("docs/troubleshooting.md")
        self.assertEqual([], sorted(message for message in messages if message not in text))

    def test_the_table_of_kernels_is_up_to_date(self) -> None:
        subprocess.run(["scripts/kernels-table", "--check"], cwd=ROOT, check=True)


class Msrs(unittest.TestCase):
    """docs/msrs.md has a row for all that abi.hh names, and the tests that it names are there."""

    def rows(self, heading: str) -> list[list[str]]:
        section = read("docs/msrs.md").split(f"\n## {heading}\n")[1].split("\n## ")[0]
        table = [line for line in section.splitlines() if line.startswith("| `")]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]

    def constants(self, enum: str) -> dict[str, int]:
        body = read("include/kvmpv/abi.hh").split(f"enum class {enum} : u32 {{")[1].split("};")[0]
        found = re.findall(r"^\s*(\w+) = ([\w']+),", body, re.MULTILINE)
        return {name: int(number.replace("'", ""), 0) for name, number in found}

    def test_every_msr_has_its_row(self) -> None:
        rows = {row[0].strip("`"): int(row[1].split(",")[0], 0) for row in self.rows("MSRs")}
        self.assertEqual(
            rows, {f"MSR_{name}": number for name, number in self.constants("Msr").items()}
        )

    def test_every_hypercall_has_its_row(self) -> None:
        rows = {row[0].strip("`"): int(row[1].split(",")[0], 0) for row in self.rows("Hypercalls")}
        self.assertEqual(rows, self.constants("Hypercall"))

    def test_the_bits_of_cpuid_are_those_of_abi(self) -> None:
        body = read("include/kvmpv/abi.hh").split("enum class Feature : u8 {")[1].split("};")[0]
        bits = {int(number) for number in re.findall(r" = (\d+),", body)}
        for row in [*self.rows("MSRs"), *self.rows("Hypercalls")]:
            bit = row[1].split(",")[1].strip()
            self.assertTrue(bit == "-" or int(bit) in bits, row[0])

    def test_every_test_is_there(self) -> None:
        names = {scenario.name for scenario in SCENARIOS}
        for row in [*self.rows("MSRs"), *self.rows("Hypercalls")]:
            tests = re.findall(r"`([^`]+)`", row[-1])
            self.assertTrue(tests or "PowerPC only" in " ".join(row), f"no test of {row[0]}")
            missing = [test for test in tests if test not in names and not (ROOT / test).exists()]
            self.assertEqual([], missing, row[0])


class StealExamples(unittest.TestCase):
    """The worked examples of docs/internals.md, through the clock that the module has."""

    HEAD = "| what happens | the record says | shown | carry_ns | backward_ns | dropped_ns |"

    def rows(self) -> list[list[str]]:
        tables = read("docs/internals.md").split(self.HEAD)[1:]
        lines = [line for table in tables for line in table.split("\n\n")[0].splitlines()[2:]]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]

    def command(self, what: str, record: str) -> str:
        if begins := re.fullmatch(r"begins; the kernel has accounted (\d+) ms", what):
            return f"begin {record} {begins[1]}"
        if passes := re.fullmatch(r"(\d+) ms pass", what):
            return f"look {passes[1]} {record}"
        self.assertEqual(what, "unhooked")
        return "unhook"

    def test_the_clock_shows_what_they_say(self) -> None:
        rows = [[row[0], *(cell.removesuffix(" ms") for cell in row[1:])] for row in self.rows()]
        self.assertGreater(len(rows), 0)
        commands = "".join(f"{self.command(row[0], row[1])}\n" for row in rows)
        with tempfile.TemporaryDirectory(prefix="kvmpv-docs-") as folder:
            program = Path(folder) / "steal_examples"
            compiler = ["g++-12", "-std=gnu++20", "-O1", "-Wall", "-Wextra", "-Werror"]
            source = "tests/steal_examples.cc"
            subprocess.run([*compiler, "-Iinclude", "-o", program, source], cwd=ROOT, check=True)
            done = subprocess.run(
                [program], input=commands, capture_output=True, text=True, check=True
            )
        shown = [line.split() for line in done.stdout.splitlines()]
        self.assertEqual(shown, [row[1:] for row in rows])


if __name__ == "__main__":
    unittest.main()
