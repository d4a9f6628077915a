# SPDX-License-Identifier: GPL-2.0-only
"""The command line of `kvmpv`, its manual page and its completion."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time
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
        for wrong in (
            "",
            "nonsense",
            "status --interval x",
            "--root /no/such status",
            "set",
            "top --count 0",
        ):
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


class Watch(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="kvmpv-tool-")
        self.addCleanup(folder.cleanup)
        self.tree = Path(folder.name)
        unpack("6.12-hogged", self.tree)
        (self.tree / "sys/kernel/debug/kvmpv/events").write_text(
            "version 1\nevents 258 lost 256\nseq time_ns cpu event value unit\n"
            "257 70253000000 1 pause 48000000 ns\n258 71000000000 - $(exit${IFS}9) - -\n"
        )

    def watch(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [KVMPV, "--root", self.tree, "watch", *words], capture_output=True, text=True
        )

    def test_a_copied_tree_has_only_what_was_kept(self) -> None:
        done = self.watch()
        self.assertEqual(2, done.returncode)
        self.assertIn("A copied tree does not change", done.stderr)
        done = self.watch("--all", "--json")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        said = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([257, 258], [event["seq"] for event in said])
        self.assertEqual((48000000, None), (said[0]["value"], said[1]["cpu"]))
        done = self.watch("--all", "--count", "1")
        self.assertIn(
            "  pause of 48.0 ms on CPU 1 (number 257): the clock stood still", done.stdout
        )
        self.assertEqual(1, len(done.stdout.splitlines()))

    def test_a_command_has_the_values_in_its_environment(self) -> None:
        line = 'echo "$KVMPV_SEQ:$KVMPV_EVENT:$KVMPV_VALUE:$KVMPV_UNIT:$KVMPV_CPU:$KVMPV_TIME_NS"'
        done = self.watch("--all", "--json", "--exec", line)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertEqual("257:pause:48000000:ns:1:70253000000", done.stdout.splitlines()[1])
        # What a name looks like to a shell does not matter.
        self.assertEqual("258:$(exit${IFS}9)::-::71000000000", done.stdout.splitlines()[3])

    def test_a_command_that_fails_is_said(self) -> None:
        done = self.watch("--all", "--exec", "exit 3")
        self.assertEqual(0, done.returncode)
        self.assertEqual(2, done.stderr.count("the command failed with exit status 3"))


class Records(unittest.TestCase):
    folder: tempfile.TemporaryDirectory[str]

    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="kvmpv-tool-")
        self.addCleanup(self.folder.cleanup)
        self.tree = Path(self.folder.name) / "tree"
        self.file = Path(self.folder.name) / "recording"
        unpack("6.12-hogged", self.tree)

    def record(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [KVMPV, "--root", self.tree, "record", "--interval", "0.1", "-o", self.file]
        return subprocess.run([*command, *words], capture_output=True, text=True)

    def report(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([KVMPV, "report", *words, self.file], capture_output=True, text=True)

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def test_a_command_is_recorded_to_its_end(self) -> None:
        later = Path(self.folder.name) / "later"
        unpack("6.12-hogged-later", later)
        done = self.record("--", "sh", "-c", f"cp -r {later}/. {self.tree}; echo done; exit 7")
        self.assertEqual((7, "done\n"), (done.returncode, done.stdout))
        self.assertIn("; the command ended. kvmpv report", done.stderr)
        said = json.loads(self.report("--json").stdout)
        self.assertEqual(said["command"][:2], ["sh", "-c"])
        self.assertEqual((7, []), (said["exit_status"], said["damage"]))
        # As `doctor` compares the same two copies.
        since = ("--root", str(later), "status", "--json", "--since")
        before = Path(self.folder.name) / "before"
        unpack("6.12-hogged", before)
        status = subprocess.run([KVMPV, *since, before], capture_output=True, text=True, check=True)
        stolen = json.loads(status.stdout)["steal"]["between_looks"]
        self.assertEqual(stolen["elapsed_ns"], said["elapsed_ns"])
        self.assertEqual(
            [(cpu["cpu"], cpu["stolen_ns"]) for cpu in stolen["cpus"]],
            [(cpu["cpu"], cpu["stolen_ns"]) for cpu in said["cpus"]],
        )
        self.assertEqual("sh", said["tasks"][0]["name"])
        text = self.report()
        self.assertEqual((0, ""), (text.returncode, text.stderr))
        self.assertIn("(exit status 7)", text.stdout)

    def test_a_time_and_a_signal_end_it(self) -> None:
        self.assertEqual(0, self.record("--seconds", "0.3").returncode)
        last = self.lines()[-1]
        self.assertEqual(("end", "the time was over"), (last["kind"], last["why"]))
        self.assertEqual(last["readings"], len(self.lines()) - 2)
        self.file.unlink()
        command = [KVMPV, "--root", self.tree, "record", "-o", self.file]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as recorder:
            while not self.file.exists() or self.file.read_text().count("\n") < 2:
                self.assertIsNone(recorder.poll())
            recorder.send_signal(signal.SIGINT)
            self.assertIn("it was interrupted", recorder.communicate()[1])
        self.assertEqual(0, recorder.returncode)
        self.assertEqual("it was interrupted", self.lines()[-1]["why"])

    def test_nothing_is_overwritten(self) -> None:
        self.file.write_text("mine")
        done = self.record("--seconds", "0.1")
        self.assertEqual(2, done.returncode)
        self.assertIn("is there already", done.stderr)
        self.assertEqual("mine", self.file.read_text())

    def test_a_command_that_cannot_be_started(self) -> None:
        done = self.record("/no/such/command")
        self.assertEqual(127, done.returncode)
        self.assertIn("cannot be started: No such file", done.stderr)

    def test_the_file_stays_below_its_limit(self) -> None:
        # The first table of so many tasks leaves no room for the last one.
        tasks = self.tree / "sys/kernel/debug/kvmpv/steal/tasks"
        rows = "".join(f"task {pid} {pid} 1 sh\n" for pid in range(10000, 30000))
        tasks.write_text(tasks.read_text() + rows)
        done = self.record("--limit", "1", "--seconds", "60")
        self.assertEqual(0, done.returncode)
        self.assertEqual("the limit of 1 MB was reached", self.lines()[-1]["why"])
        self.assertLessEqual(self.file.stat().st_size, 1_000_000)
        self.assertEqual(0, self.report().returncode)

    def test_what_is_left_of_a_file_is_reported(self) -> None:
        self.record("--seconds", "0.3")
        text = self.file.read_text()
        self.file.write_text(text[: text.rindex('{"exit') - 20])
        done = self.report()
        self.assertEqual(1, done.returncode)
        self.assertIn("The last line is cut off", done.stdout)
        self.assertIn("recorded on 2 CPUs", done.stdout)
        self.file.write_text("nonsense")
        done = self.report()
        self.assertEqual((3, ""), (done.returncode, done.stdout))
        self.assertIn("not a recording", done.stderr)
        self.file.unlink()
        self.assertEqual(3, self.report().returncode)


class OnATerminal:
    """`kvmpv top` of a tree on a terminal of its own."""

    def __init__(self, tree: Path, kind: str, columns: int = 80, rows: int = 24) -> None:
        self.shown = b""
        self.terminal, other = pty.openpty()
        self.resize(columns, rows)
        self.attributes = termios.tcgetattr(other)

        def own() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.top = subprocess.Popen(
            [KVMPV, "--root", tree, "top", "--interval", "0.1"],
            env={**os.environ, "TERM": kind},
            stdin=other,
            stdout=other,
            stderr=other,
            preexec_fn=own,
        )
        self.other = other

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def press(self, key: bytes) -> None:
        os.write(self.terminal, key)

    def until(self, wanted: bytes) -> None:
        """Reads what is shown from now on until that comes."""
        self.shown = b""
        end = time.monotonic() + 60
        while wanted not in self.shown:
            ready, _, _ = select.select([self.terminal], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise AssertionError(f"{wanted!r} is not in {self.shown[-3000:]!r}")
            self.shown += os.read(self.terminal, 1 << 16)

    def end(self) -> int:
        self.press(b"q")
        status = self.top.wait(60)
        self.restored = termios.tcgetattr(self.other) == self.attributes
        os.close(self.terminal)
        os.close(self.other)
        return status


class Top(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="kvmpv-tool-")
        self.addCleanup(folder.cleanup)
        self.tree = Path(folder.name)
        unpack("6.12-hogged", self.tree)

    def steal_a_second(self) -> None:
        """In two seconds, from CPU 0."""
        steal = self.tree / "sys/kernel/debug/kvmpv/steal/cpus"
        steal.write_text(steal.read_text().replace("\n0   56052953323", "\n0   57052953323"))
        (self.tree / "proc/uptime").write_text("147.95 63.96\n")

    def test_every_kind_of_terminal_shows_the_figures_and_ends_at_q(self) -> None:
        # Nothing is known of the last one, as in a guest without terminfo.
        for kind in ("xterm-256color", "vt100", "linux", "dumb", "nobody-has-this"):
            with self.subTest(kind):
                unpack("6.12-hogged", self.tree)
                terminal = OnATerminal(self.tree, kind)
                terminal.until(b"figures come in")
                # Figures since the start stay, whenever the tree is read.
                terminal.press(b"t")
                terminal.until(b"since")
                self.steal_a_second()
                terminal.until(b"50.0 %")
                self.assertEqual(0, terminal.end())
                self.assertTrue(terminal.restored)

    def test_it_follows_the_size_of_the_terminal(self) -> None:
        terminal = OnATerminal(self.tree, "vt100", 200, 50)
        terminal.until(b"j k scroll")
        terminal.resize(20, 5)
        # All that fits of the last line, whose last letter takes a sequence of its own.
        terminal.until(b"q quit  s sort  c t\x1b")
        terminal.resize(80, 24)
        terminal.until(b"p pause")
        self.assertEqual(0, terminal.end())

    def test_signals_end_it_and_leave_the_terminal_as_it_was(self) -> None:
        terminal = OnATerminal(self.tree, "vt100")
        terminal.until(b"q quit")
        terminal.press(b"\x03")
        self.assertEqual(0, terminal.top.wait(60))
        self.assertEqual(0, terminal.end())
        self.assertTrue(terminal.restored)

    def test_without_a_terminal_one_screen_follows_the_other(self) -> None:
        words = ("--root", self.tree, "top", "--interval", "0.1", "--count", "2")
        done = subprocess.run(
            [KVMPV, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertEqual(2, done.stdout.count("kvmpv top  stolen"))
        self.assertNotIn("\033", done.stdout)
        done = subprocess.run([KVMPV, *words, "--json"], capture_output=True, text=True)
        said = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([0, 1], [cpu["cpu"] for cpu in said[1]["cpus"]])
        self.assertEqual(2, len(said))

    def test_a_tree_that_goes_away_and_comes_back(self) -> None:
        terminal = OnATerminal(self.tree, "vt100")
        terminal.until(b"stolen")
        files = self.tree / "sys/kernel/debug/kvmpv"
        files.rename(self.tree / "hidden")
        terminal.until(b"There is no sys/kernel/debug/kvmpv/status")
        (self.tree / "hidden").rename(files)
        terminal.until(b"stolen")
        self.assertEqual(0, terminal.end())


class Words(unittest.TestCase):
    def help(self) -> str:
        names = ("status", "doctor", "top", "watch", "record", "report", "set")
        commands: list[list[str]] = [[], *([name] for name in names)]
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

    def test_every_event_has_its_meaning(self) -> None:
        table = (ROOT / "docs/debugfs.md").read_text().split("| event | unit of value |")[1]
        rows = re.findall(r"^  \| (`.*?`) \|", table.split("\n\n")[0], re.MULTILINE)
        named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
        self.assertGreater(len(named), 10)
        known = re.findall(r'\{"(\w+)",\s', (ROOT / "tool/say/events.cc").read_text())
        self.assertEqual(sorted(named), sorted(known))


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
        self.assertEqual(self.candidates("re"), {"record", "report"})
        self.assertEqual(self.candidates("--r"), {"--root"})
        self.assertEqual(self.candidates("top", "--c"), {"--count"})
        self.assertEqual(self.candidates("watch", "--a"), {"--all"})
        self.assertEqual(self.candidates("watch", "--count", "3", "--e"), {"--exec"})
        self.assertEqual(self.candidates("record", "--l"), {"--limit"})
        self.assertEqual(self.candidates("record", "-o", "/etc/debian_v"), {"/etc/debian_version"})
        self.assertEqual(self.candidates("record", "true"), {"true"})
        self.assertEqual(self.candidates("report", "--j"), {"--json"})
        self.assertEqual(self.candidates("report", "/etc/debian_v"), {"/etc/debian_version"})
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
