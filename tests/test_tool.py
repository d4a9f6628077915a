# SPDX-License-Identifier: GPL-2.0-only
"""The command line of `kvmpv`, its manual page and its completion."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from built import ROOT

KVMPV = ROOT / "build/tool/kvmpv"
COMPLETION = ROOT / "tool/complete/kvmpv.bash"
PAGE = ROOT / "tool/kvmpv.1"


def unpack(snapshot: str, folder: Path) -> None:
    """A snapshot of tests/snapshots, as the tree that it was copied from."""
    text = (ROOT / f"tests/snapshots/{snapshot}.txt").read_text()
    for part in re.split(r"^==> ", text, flags=re.MULTILINE)[1:]:
        name, content = part.split(" <==\n", 1)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def setUpModule() -> None:
    subprocess.run(["make", "-s", "tool"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


class Tool(unittest.TestCase):
    folder: tempfile.TemporaryDirectory[str]

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory(prefix="kvmpv-tool-")
        for name in ("6.12-hogged", "6.12-hogged-later"):
            unpack(name, Path(cls.folder.name) / name)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    def tree(self, name: str) -> str:
        return f"{self.folder.name}/{name}"

    def run_tool(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([KVMPV, *words], capture_output=True, text=True)

    def test_a_copied_tree_is_read(self) -> None:
        done = self.run_tool("--root", self.tree("6.12-hogged"), "status")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertTrue(done.stdout.startswith("kvmpv 0.1.0, Linux 6.12"), done.stdout)
        self.assertNotIn("\033", done.stdout)
        self.assertNotIn("stolen now", done.stdout)

    def test_two_copies_are_held_against_each_other(self) -> None:
        trees = ("--root", self.tree("6.12-hogged-later"), "doctor", "--json")
        done = self.run_tool(*trees, "--since", self.tree("6.12-hogged"))
        said = json.loads(done.stdout)
        self.assertEqual(said["status"], "CRITICAL")
        self.assertEqual(said["exit_status"], done.returncode)
        self.assertEqual(
            {rule["rule"]: rule["severity"] for rule in said["rules"]}["steal"], "CRITICAL"
        )

    def test_exit_statuses(self) -> None:
        with tempfile.TemporaryDirectory() as empty:
            self.assertEqual(3, self.run_tool("--root", empty, "status").returncode)
            self.assertEqual(3, self.run_tool("--root", empty, "doctor").returncode)
            said = json.loads(self.run_tool("--root", empty, "doctor", "--json").stdout)
            self.assertEqual(("UNKNOWN", 3), (said["status"], said["exit_status"]))
            self.assertEqual(2, self.run_tool("--root", empty, "set", "eoi/hook", "0").returncode)
        for wrong in ("", "nonsense", "status --interval x", "--root /no/such status", "set"):
            self.assertEqual(2, self.run_tool(*wrong.split()).returncode, wrong)
        self.assertEqual(0, self.run_tool("--help").returncode)
        self.assertEqual("kvmpv 0.1.0\n", self.run_tool("--version").stdout)

    def test_output_that_cannot_be_written_is_no_success(self) -> None:
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [KVMPV, "--root", self.tree("6.12-hogged"), "status"],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
            )
        self.assertNotEqual(0, done.returncode)
        self.assertIn("No space left", done.stderr)

    def test_colours_are_for_terminals(self) -> None:
        def on_a_terminal(**environment: str) -> str:
            command = f"{KVMPV} --root {self.tree('6.12-hogged')} status"
            done = subprocess.run(
                ["script", "-qec", command, "/dev/null"],
                env={**os.environ, "TERM": "xterm", **environment},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=True,
            )
            return done.stdout

        self.assertIn("\033[1;31m", on_a_terminal())
        self.assertNotIn("\033", on_a_terminal(NO_COLOR="1"))
        self.assertNotIn("\033", on_a_terminal(TERM="dumb"))


class Words(unittest.TestCase):
    def help(self) -> str:
        commands: list[list[str]] = [[], ["status"], ["doctor"], ["set"]]
        return "".join(
            subprocess.run(
                [KVMPV, *command, "--help"], capture_output=True, text=True, check=True
            ).stdout
            for command in commands
        )

    def test_the_page_has_no_warning(self) -> None:
        done = subprocess.run(
            ["groff", "-man", "-ww", "-z", PAGE], capture_output=True, text=True, check=True
        )
        self.assertEqual("", done.stdout + done.stderr)

    def test_the_page_has_every_option_and_no_other(self) -> None:
        said = set(re.findall(r"--[a-z]+", self.help()))
        self.assertGreater(len(said), 5)
        page = set(re.findall(r"--[a-z]+", PAGE.read_text().replace("\\-", "-")))
        self.assertEqual(said, page)

    def test_the_page_has_the_version(self) -> None:
        done = subprocess.run([KVMPV, "--version"], capture_output=True, text=True, check=True)
        self.assertIn(f'"{done.stdout.strip()}"', PAGE.read_text())

    def test_the_document_has_every_rule(self) -> None:
        names = re.findall(r'\{"([a-z-]+)", judge_', (ROOT / "tool/rules/rule.cc").read_text())
        self.assertGreater(len(names), 5)
        rows = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs/tool.md").read_text(), re.MULTILINE)
        self.assertEqual(names, rows)


class Completion(unittest.TestCase):
    def candidates(self, *words: str) -> set[str]:
        """What bash offers for the last word."""
        line = " ".join(f"'{word}'" for word in ("kvmpv", *words))
        script = (
            f". {COMPLETION}; PATH={KVMPV.parent}:$PATH;"
            f" COMP_WORDS=({line}); COMP_CWORD={len(words)}; _kvmpv; "
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        self.assertEqual("", done.stderr)
        return set(done.stdout.split())

    def test_commands_options_and_switches(self) -> None:
        self.assertEqual(self.candidates("s"), {"status", "set"})
        self.assertEqual(self.candidates("--r"), {"--root"})
        self.assertEqual(self.candidates("status", "--j"), {"--json"})
        self.assertEqual(self.candidates("--root", "/tmp", "doctor", "--s"), {"--since"})
        self.assertEqual(
            self.candidates("set", "clock/"),
            {
                "clock/force_unstable",
                "clock/release",
                "clock/vdso",
            },
        )
        self.assertEqual(self.candidates("set", "clock/vdso", ""), {"0", "1"})
        self.assertEqual(self.candidates("set", "clock/vdso", "1", ""), set())
        self.assertEqual(self.candidates("--root", "/us"), {"/usr"})


if __name__ == "__main__":
    unittest.main()
