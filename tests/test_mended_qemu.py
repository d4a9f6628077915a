# SPDX-License-Identifier: GPL-2.0-only
"""The copy of QEMU that emulates the host: where it differs from the original, and that it finds the same files."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

from built import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

from lab import elf
from lab.elf import Segment
from lab.mended_qemu import DELIVER, NO_OP, Unknown, mend, mended
from lab.qemu import FIRMWARE, INSTALLED, Qemu, qemu

ADDRESS = 0x65B000  # at which the code is loaded
DELIVERS = 0x6B0260  # the address of the function that delivers the interrupt
RBX, RBP = 3, 5


def injection(
    at: int, calls: int = DELIVERS, base: int = RBX, last_base: int | None = None
) -> bytes:
    """An injected interrupt as in QEMU's helper_vmrun(), `at` bytes behind the beginning of the code."""
    last = base if last_base is None else last_base
    code = bytes([0x89, 0x80 | 6 << 3 | base]) + bytes.fromhex("54efffff")
    code += bytes([0xC7, 0x80 | base]) + bytes.fromhex("84330000 00000000")
    code += bytes([0x48, 0xC7, 0x80 | last]) + bytes.fromhex("88330000 ffffffff")
    code += bytes.fromhex("f605ba45b60002 0f856c010000 ba01000000")
    code += bytes([0x48, 0x89, 0xC7 | base << 3, 0xE8])
    end = ADDRESS + at + len(code) + 4
    return code + (calls - end).to_bytes(4, "little", signed=True)


def mend_code(code: bytes) -> bytes:
    """What becomes of a program that is nothing but this code."""
    with mock.patch.object(elf, "exported", return_value=DELIVERS), mock.patch.object(
        elf, "code", return_value=[Segment(0, ADDRESS, len(code))]
    ):
        return mend(code)


class Finder(unittest.TestCase):
    def refused(self, code: bytes, places: int) -> None:
        with self.assertRaisesRegex(Unknown, f"^{places} places "):
            mend_code(code)

    def test_the_one_store_becomes_a_no_op(self) -> None:
        for base in (RBX, RBP):
            code = b"\x90" * 7 + injection(7, base=base) + b"\xc3"
            self.assertEqual(mend_code(code), code[:7] + NO_OP + code[7 + len(NO_OP) :])

    def test_a_store_before_another_call_stays(self) -> None:
        other = injection(0, calls=DELIVERS + 16)
        self.refused(other, 0)
        both = other + injection(len(other))
        self.assertEqual(mend_code(both), other + NO_OP + injection(len(other))[len(NO_OP) :])

    def test_two_such_places_are_one_too_many(self) -> None:
        one = injection(0)
        self.refused(one + injection(len(one)), 2)

    def test_what_is_not_the_same_object_throughout_stays(self) -> None:
        self.refused(injection(0, last_base=RBP), 0)

    def test_code_without_the_store_stays(self) -> None:
        self.refused(b"", 0)
        self.refused(mend_code(injection(0)), 0)

    def test_a_program_that_exports_nothing_is_refused(self) -> None:
        for program in (b"", b"#!/bin/sh\n", Path("/bin/true").read_bytes()):
            with self.assertRaisesRegex(Unknown, f"exports no {DELIVER}"):
                mend(program)


class Installed(unittest.TestCase):
    chosen: Qemu
    copy: Qemu

    @classmethod
    def setUpClass(cls) -> None:
        cls.chosen = qemu(INSTALLED)
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        with mock.patch.dict(os.environ, KVMPV_CACHE=folder):
            cls.copy = mended(cls.chosen)

    def says(self, found: Qemu, *words: str) -> str:
        return subprocess.run(
            [*found.command(), *words], stdout=subprocess.PIPE, text=True, check=True
        ).stdout

    def test_copy_differs_in_one_instruction(self) -> None:
        original, copy = (found.program.read_bytes() for found in (self.chosen, self.copy))
        self.assertEqual(len(original), len(copy))
        differs = [at for at, (ours, theirs) in enumerate(zip(copy, original)) if ours != theirs]
        self.assertEqual(differs[-1] - differs[0] + 1, len(NO_OP))
        self.assertEqual(copy[differs[0] :][: len(NO_OP)], NO_OP)

    def test_copy_is_the_same_version(self) -> None:
        self.assertEqual(self.says(self.copy, "--version"), self.says(self.chosen, "--version"))

    def test_copy_has_the_same_modules(self) -> None:
        """Some devices are in modules."""
        devices = [self.says(found, "-device", "help") for found in (self.chosen, self.copy)]
        self.assertIn("virtio-gpu-pci", devices[0])
        self.assertEqual(*devices)

    def test_copy_has_the_same_firmware(self) -> None:
        folders = [
            [os.path.realpath(folder) for folder in self.says(found, "-L", "help").splitlines()]
            for found in (self.chosen, self.copy)
        ]
        self.assertEqual(folders[0], folders[1][: len(FIRMWARE)])

    def test_another_program_is_used_as_it_is_and_that_is_said(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            foreign = Path(folder) / "usr/bin/qemu-system-x86_64"
            foreign.parent.mkdir(parents=True)
            foreign.write_text("#!/bin/sh\n")
            for chosen, why in (
                (replace(self.chosen, program=foreign), "it is not /usr/bin/qemu-system-x86_64"),
                (
                    replace(self.chosen, program=foreign, root=Path(folder)),
                    f"it exports no {DELIVER}()",
                ),
            ):
                with contextlib.redirect_stderr(io.StringIO()) as said:
                    self.assertIs(mended(chosen), chosen)
                self.assertEqual(
                    said.getvalue(), f"lab: {foreign} emulates the host as it is: {why}\n"
                )


if __name__ == "__main__":
    unittest.main()
