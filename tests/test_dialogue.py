# SPDX-License-Identifier: GPL-2.0-only
"""The two ends of a dialogue, talk.py and agent.sh, without a guest between them."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
from contextlib import redirect_stdout
from pathlib import Path
from unittest import mock

from built import ROOT

sys.path.insert(0, str(ROOT / "tests/dialogue"))

import talk  # noqa: E402

AGENT = (ROOT / "tests/guest/agent.sh").read_text().replace("/tests/", f"{ROOT}/tests/guest/")


class Shell:
    """The agent as a process of this machine, in place of lab.beside.Guest."""

    def __init__(self, output: Path) -> None:
        heard, said = os.pipe()
        grown, self._grows = os.pipe()
        os.environ.update(KVMPV_OUTPUT=str(output), KVMPV_GROWN=str(grown))
        self._said = os.fdopen(said, "w")
        self._file = output.open("wb", buffering=0)
        # By its file, because a descriptor above 9 cannot be named to dash.
        command = f"exec 9< /proc/self/fd/{heard}\n" + AGENT
        # What resets a guest starts the agent once more.
        again = ["sh", "-c", 'sh -c "$0"; exec sh -c "$0"', command]
        self._process = subprocess.Popen(
            again, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, pass_fds=(heard,)
        )
        os.close(heard)
        self._ends = [grown, self._grows]
        self._pumping = threading.Thread(target=self._pump, daemon=True)
        self._pumping.start()

    def _pump(self) -> None:
        assert self._process.stdout is not None
        while data := os.read(self._process.stdout.fileno(), 4096):
            self._file.write(data)
            os.write(self._grows, b"+")

    def say(self, line: str) -> None:
        print(line, file=self._said, flush=True)

    def wait(self) -> None:
        """Until the last agent has ended."""
        self._process.wait()

    def close(self) -> None:
        self._said.close()  # then the agents end
        self._process.wait()
        self._pumping.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._file.close()
        for end in self._ends:
            os.close(end)


class Dialogue(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        environment = mock.patch.dict(os.environ)
        environment.start()
        self.addCleanup(environment.stop)
        self.addCleanup(signal.signal, signal.SIGTERM, signal.getsignal(signal.SIGTERM))
        self.shell = Shell(Path(folder.name) / "output")
        self.addCleanup(self.shell.close)
        with mock.patch.object(talk, "Guest", lambda: self.shell):
            self.talk = talk.Talk()
        self.addCleanup(self.talk._output.close)

    def finished(self) -> str:
        with redirect_stdout(io.StringIO()) as printed:
            self.talk.finish()
        return printed.getvalue()

    def test_a_line_runs_in_the_same_shell(self) -> None:
        self.assertEqual(self.talk.mode, "shared")
        self.talk.ask("a=1")
        self.assertEqual(
            self.talk.ask("echo $a; printf '%s\\n' two ''; printf three"), "1\ntwo\n\nthree"
        )
        self.assertEqual(self.talk.run("echo no; (exit 3)"), (3, "no"))
        self.assertEqual(self.talk.ask("echo 'agent: 7'"), "agent: 7")
        with self.assertRaisesRegex(talk.Failed, "exit status 4\nwhy"):
            self.talk.ask("echo why; (exit 4)")

    def test_long_lines_and_answers(self) -> None:
        word = "x" * 20000
        self.assertEqual(self.talk.ask(f"echo {word}"), word)

    def test_expects_failures(self) -> None:
        self.talk.fails_with("busy", "echo is busy; exit 1")
        with self.assertRaisesRegex(talk.Failed, "succeeded"):
            self.talk.fails_with("busy", "echo busy")
        with self.assertRaisesRegex(talk.Failed, "no 'busy'"):
            self.talk.fails_with("busy", "echo idle; exit 1")

    def test_results(self) -> None:
        self.talk.check("true")
        self.talk.check("echo said; false", name="fails")
        self.talk.report("by the way")
        self.talk.check(lambda: talk.equal("it", 1, 2), name="compares")
        expected = """KTAP version 1
1..3
ok 1 true
# echo said; false: exit status 1
# said
not ok 2 fails
# by the way
# it is 1, not 2
not ok 3 compares
"""
        self.assertEqual(self.finished(), expected)

    def test_restart_and_subtests(self) -> None:
        self.talk.check("true")
        self.talk.subtest("first")
        self.talk.restart("exit 0")
        self.talk.check("false", name="fails")
        self.talk.subtest("second")
        lines = self.finished().splitlines()
        self.assertEqual(
            [line for line in lines if not line.startswith(" ")][1:],
            ["1..2", "ok 1 first", "not ok 2 second"],
        )
        self.assertEqual(lines.count("  1..1"), 2)
        self.assertIn("  not ok 1 fails", lines)

    def test_restart_that_fails(self) -> None:
        with self.assertRaisesRegex(talk.Failed, "exit status 5"):
            self.talk.restart("(exit 5)")

    def test_comparisons(self) -> None:
        talk.within("it", 2, 1, 2)
        with self.assertRaises(talk.Failed):
            talk.within("it", 3, 1, 2)
        talk.contains("a\nb 7", "^b [0-9]$")
        with self.assertRaises(talk.Failed):
            talk.contains("a", "b")


def dies(line: str, output: Path) -> None:
    """A dialogue, in a process of its own, in which this line ends the agent. Then scripts/guest sends SIGTERM."""
    shell = Shell(output)
    with mock.patch.object(talk, "Guest", lambda: shell):
        spoken = talk.Talk()

    def tell() -> None:
        shell.wait()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=tell, daemon=True).start()
    spoken.check(line, name="ends_it")


class AgentThatEnds(unittest.TestCase):
    """The dialogue ends at once, with one sentence and no list of results."""

    def dies(self, line: str) -> tuple[int, str]:
        with tempfile.TemporaryDirectory() as folder:
            program = "import sys, pathlib, test_dialogue as t; t.dies(sys.argv[1], pathlib.Path(sys.argv[2]))"
            done = subprocess.run(
                [sys.executable, "-c", program, line, f"{folder}/output"],
                cwd=ROOT / "tests",
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=60,
            )
        # Above it a shell may say that it has lost a child.
        return done.returncode, done.stdout.splitlines()[-1]

    def test_killed_for_good(self) -> None:
        line = "kill -KILL $PPID $$"
        ended = f"the guest's shell has ended, during: {line}"
        self.assertEqual(self.dies(line), (-signal.SIGTERM, ended))

    def test_killed_and_started_anew(self) -> None:
        line = "kill -KILL $$"
        restarted = f"the guest has restarted, during: {line}"
        self.assertEqual(self.dies(line), (1, restarted))


class Tables(unittest.TestCase):
    def test_cells(self) -> None:
        table = talk.Table.parse("version 1\nevents 2 lost 0\nwhat ns\ntask 0x10\ntask 7\n", head=2)
        self.assertEqual(table.head[1], "events 2 lost 0")
        self.assertEqual(table.column("ns"), ["0x10", "7"])
        self.assertEqual(table.number("task", "ns"), 7)


if __name__ == "__main__":
    unittest.main()
