# SPDX-License-Identifier: GPL-2.0-only
"""The built module: objtool has processed all of its C++, and nothing needs a C++ runtime."""

from __future__ import annotations

import re
import struct
import subprocess
import tempfile
import unittest
from dataclasses import dataclass
from pathlib import Path

from built import ROOT, modules_of_stock_kernels


@dataclass(frozen=True)
class Function:
    name: str
    section: str
    start: int
    size: int


def readelf(option: str, file: Path) -> str:
    return subprocess.run(
        ["readelf", option, "-W", file], check=True, capture_output=True, text=True
    ).stdout


def section_names(file: Path) -> dict[int, str]:
    rows = re.findall(r"^\s*\[\s*(\d+)\]\s+(\S+)", readelf("-S", file), re.MULTILINE)
    return {int(number): name for number, name in rows}


def cxx_functions(module: Path, build: Path) -> list[Function]:
    """Functions of the module that a C++ object defines, weak and local ones included."""
    from_cxx = set[str]()
    for source in (ROOT / "src").rglob("*.cc"):
        built = build / source.relative_to(ROOT).with_suffix(".o")
        from_cxx |= {name for name, _, _, _ in symbols(built)}
    sections = section_names(module)
    return [
        Function(name, sections[index], start, size)
        for name, index, start, size in symbols(module)
        if name in from_cxx
    ]


def symbols(file: Path) -> list[tuple[str, int, int, int]]:
    """Name, section index, start and size of each function."""
    found = []
    for line in readelf("-s", file).splitlines():
        field = line.split()
        if len(field) == 8 and field[3] == "FUNC" and field[6].isdigit() and int(field[2], 0) > 0:
            found.append((field[7], int(field[6]), int(field[1], 16), int(field[2], 0)))
    return found


def relocations(module: Path, table: str) -> list[tuple[str, int, int]]:
    """For each entry of a table such as .orc_unwind_ip: the section and offset it points at, and its own offset."""
    found = []
    inside = False
    for line in readelf("-r", module).splitlines():
        if line.startswith("Relocation section"):
            inside = f"'.rela{table}'" in line
        match = re.match(
            r"([0-9a-f]+)\s+\S+\s+R_X86_64_PC32\s+([0-9a-f]+)\s+(\S+) \+ ([0-9a-f]+)", line
        )
        if inside and match:
            found.append((match[3], int(match[2], 16) + int(match[4], 16), int(match[1], 16)))
    return found


@dataclass(frozen=True, order=True)
class Unwind:
    """An ORC entry (arch/x86/include/asm/orc_types.h). It is in force from its place to that of the next entry."""

    place: int
    sp_offset: int
    sp_reg: int


ORC_REG_UNDEFINED = 0
ORC_REG_SP = 5
AT_FUNCTION_ENTRY = (ORC_REG_SP, 8)  # the caller's stack pointer is 8 above ours


def unwind_entries(module: Path) -> dict[str, list[Unwind]]:
    """The ORC entries of each section in order. Entry N of .orc_unwind belongs to relocation N of .orc_unwind_ip."""
    with tempfile.NamedTemporaryFile() as raw:
        subprocess.run(
            ["objcopy", "-O", "binary", "--set-section-flags", ".orc_unwind=alloc"]
            + ["--only-section=.orc_unwind", module, raw.name],
            check=True,
        )
        words = list(struct.iter_unpack("<hhH", Path(raw.name).read_bytes()))
    entries: dict[str, list[Unwind]] = {}
    for section, place, number in relocations(module, ".orc_unwind_ip"):
        sp_offset, _, registers = words[number // 4]
        entries.setdefault(section, []).append(Unwind(place, sp_offset, registers & 0xF))
    return {section: sorted(found) for section, found in entries.items()}


def unwind_at(entries: dict[str, list[Unwind]], function: Function) -> tuple[int, int] | None:
    """The register and offset that the unwinder uses at the function's first instruction; None without an entry."""
    before = [e for e in entries.get(function.section, []) if e.place <= function.start]
    return (before[-1].sp_reg, before[-1].sp_offset) if before else None


def unwinds(name: str, at_start: tuple[int, int] | None) -> bool:
    # GCC jumps to a .cold part from the middle of its function, when the frame is set up.
    if name.endswith(".cold"):
        return at_start is not None and at_start[0] != ORC_REG_UNDEFINED
    return at_start == AT_FUNCTION_ENTRY


def return_jumps(module: Path) -> dict[str, list[int]]:
    """For each section the offsets of its jumps to the return thunk, by which functions return."""
    places: dict[str, list[int]] = {}
    section = ""
    for line in readelf("-r", module).splitlines():
        if line.startswith("Relocation section"):
            section = line.split("'")[1].removeprefix(".rela")
        match = re.match(
            r"([0-9a-f]+)\s+\S+\s+R_X86_64_(?:PLT32|PC32)\s+\S+\s+__x86_return_thunk\b", line
        )
        if match and section.startswith((".text", ".init.text", ".exit.text")):
            # The relocation is that of the operand, one byte after the jump's opcode.
            places.setdefault(section, []).append(int(match[1], 16) - 1)
    return places


def instructions(file: Path, function: str) -> list[str]:
    """The instructions of a function without operands, but with prefixes: "btrl", "lock btrl"."""
    text = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", f"--disassemble={function}", file],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = re.findall(r"^\s+[0-9a-f]+:\t((?:lock )?\w+)", text, re.MULTILINE)
    return [name for name in found if not name.startswith("nop")]


# How many instructions native executes for an elided EOI, in kvm_guest_apic_eoi_write() of the stock kernels.
# 6.1: mov, add, btrq, jb, jmp; 6.12: endbr64, mov, btrq, jae, jmp. The jump goes to the return thunk.
NATIVE_ELIDED = 5


class ModuleObject(unittest.TestCase):
    def test_elided_eoi_is_native_and_one_increment(self) -> None:
        for module in modules_of_stock_kernels():
            with self.subTest(kernel=module.release):
                code = instructions(module.build / "src/eoi/eoi_callback.o", "kvmpv_eoi")
                # Up to the first return. The jump that is not taken leads to the register write.
                elided = code[: code.index("jmp") + 1]
                self.assertEqual(
                    [i for i in elided if i != "endbr64"], ["mov", "btrl", "jae", "incq", "jmp"]
                )
                self.assertLessEqual(len(elided), NATIVE_ELIDED + 1)

    def test_every_cxx_function_has_unwind_entries(self) -> None:
        for module in modules_of_stock_kernels():
            with self.subTest(kernel=module.release):
                functions = cxx_functions(module.file, module.build)
                self.assertGreater(len(functions), 30, "the list of C++ functions looks wrong")
                entries = unwind_entries(module.file)
                bare = [f.name for f in functions if not unwinds(f.name, unwind_at(entries, f))]
                self.assertEqual(bare, [])

    def test_every_return_of_cxx_is_a_return_site(self) -> None:
        for module in modules_of_stock_kernels():
            with self.subTest(kernel=module.release):
                sites = {(where, at) for where, at, _ in relocations(module.file, ".return_sites")}
                jumps = return_jumps(module.file)
                cxx = cxx_functions(module.file, module.build)
                inside = {
                    (f.section, at)
                    for f in cxx
                    for at in jumps.get(f.section, [])
                    if f.start <= at < f.start + f.size
                }
                self.assertGreater(len(inside), 20, "the list of returns looks wrong")
                self.assertEqual(inside - sites, set())

    def test_no_constructor_waits_to_be_called(self) -> None:
        for module in modules_of_stock_kernels():
            with self.subTest(kernel=module.release):
                names = section_names(module.file).values()
                self.assertEqual([n for n in names if "init_array" in n or "ctors" in n], [])


if __name__ == "__main__":
    unittest.main()
