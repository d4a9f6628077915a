# SPDX-License-Identifier: GPL-2.0-only
"""The parts of scripts/guest that need no guest: what it recognises, builds, parses and rejects."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from unittest import mock

from built import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

from lab import (
    LabError,
    archive,
    arguments,
    elf,
    exits,
    frames,
    host_root,
    host_state,
    on_host,
    qemu,
    run,
    splat,
    standstill,
)
from lab.frames import Link
from lab.host_state import Clocks, WrongClock, wrong_clock
from lab.initramfs import Archive
from lab.kernels import kernel
from lab.options import Addition, Options
from lab.packages import tool
from lab.result import FAILED, SILENT, TIME_UP, Record, judge, plain
from lab.tail import Tail
from lab.tsc import Tsc

WARNING = """\
[    4.000001] usb: quiet before
[    5.000001] ------------[ cut here ]------------
[    5.000002] refcount_t: underflow; use-after-free.
[    5.000003] WARNING: CPU: 1 PID: 97 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110
[    5.000004] Call Trace:
[    5.000005]  <TASK>
[    5.000006] ---[ end trace 0000000000000000 ]---
[    5.000007] usb: quiet after
"""

# What the debug kernel printed for faults in C++ that were made on purpose; shortened.
SANITIZERS = """\
<3>[  180.723795] ==================================================================
<3>[  180.929344] BUG: KASAN: slab-out-of-bounds in cc_heap+0x44/0x60 [bug]
<3>[  181.108874] Read of size 1 at addr ff11000000c772a9 by task insmod/52
<3>[  181.261137] 
<3>[  181.336637] Call Trace:
<3>[  181.336895]  <TASK>
<3>[  181.338944]  cc_heap+0x44/0x60 [bug]
<3>[  181.350000] Allocated by task 52:
<3>[  181.350001]  kasan_save_stack+0x20/0x40
<3>[  181.360000] Memory state around the buggy address:
<3>[  181.360001] >ff11000000c77280: fc fc fc fc 00 fc fc fc fc 00 fc fc fc fc fa fc
<3>[  181.370000] ==================================================================
<6>[  182.000000] kvmpv: quiet between
<4>[  198.884394] ------------[ cut here ]------------
<3>[  199.019864] UBSAN: shift-out-of-bounds in kunit/bug.cc:6:50
<3>[  199.196637] shift exponent 49 is too large for 32-bit type 'int'
<4>[  199.411740] Call Trace:
<4>[  199.605105] ---[ end trace ]---
<4>[  211.591880] Oops: general protection fault, probably for non-canonical address 0xdffffc0000000001: 0000 [#1] PREEMPT SMP KASAN NOPTI
<1>[  211.721663] KASAN: null-ptr-deref in range [0x0000000000000008-0x000000000000000f]
<4>[  211.821663] ---[ end trace 0000000000000000 ]---
"""

# Lines that each make a report, as 6.1 or 6.12 print them.
REPORTS = (
    "BUG: kernel NULL pointer dereference, address: 0000000000000000",
    "BUG: unable to handle page fault for address: ffffffffc0001000",
    "BUG: scheduling while atomic: insmod/97/0x00000002",
    "BUG: sleeping function called from invalid context at mm/slab.h:398",
    "BUG: KASAN: slab-out-of-bounds in kvmpv_exit+0x1/0x2 [kvmpv]",
    "BUG: KCSAN: data-race in kvmpv_exit / kvmpv_init",
    "BUG: using smp_processor_id() in preemptible [00000000] code: sh/1",
    "BUG kmalloc-64 (Tainted: G           O      ): Poison overwritten",
    "BUG: workqueue lockup - pool cpus=1 node=0 flags=0x0 nice=0 stuck for 33s!",
    "WARNING: CPU: 1 PID: 97 at kernel/kthread.c:1 kthread+0x1/0x2",
    "WARNING: possible circular locking dependency detected",
    "WARNING: inconsistent lock state",
    "WARNING: suspicious RCU usage",
    "WARNING: held lock freed!",
    "WARNING: bad unlock balance detected!",
    "general protection fault, probably for non-canonical address 0xdead: 0000 [#1] PREEMPT SMP",
    "Oops: general protection fault, probably for non-canonical address 0x1: 0000 [#1] SMP",
    "Oops: int3: 0000 [#1] PREEMPT SMP NOPTI",
    "divide error: 0000 [#1] SMP",
    "invalid opcode: 0000 [#1] PREEMPT SMP",
    "kernel BUG at mm/slub.c:379!",
    "Kernel panic - not syncing: sysrq triggered crash",
    "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
    "rcu: INFO: rcu_preempt self-detected stall on CPU",
    "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [sh:1]",
    "INFO: task insmod:97 blocked for more than 120 seconds.",
    "INFO: trying to register non-static key.",
    "UBSAN: shift-out-of-bounds in include/linux/log2.h:57:13",
    "list_add corruption. prev->next should be next (ffff), but was 0000. (prev=ffff).",
    "unchecked MSR access error: WRMSR to 0x4b564d04 (tried to write 0x1) at rIP: 0x1 (x+0x1/0x2)",
    "traps: PANIC: double fault, error_code: 0x0",
    "Call Trace:",
)

# Lines of healthy boots, and lines that only quote a report.
HARMLESS = (
    "Command line: console=ttyS0 foo=BUG: bar=WARNING:",
    "Kernel command line: panic=-1 oops=panic Oops WARNING: CPU: 1",
    "Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on",
    "AMD-Vi: AMD IOMMUv2 functionality not available on this system - This is not a bug.",
    "acpi PNP0A03:00: fail to add MMCONFIG information, can't access extended PCI configuration",
    "tsc: Marking TSC unstable due to TSCs unsynchronized",
    "clocksource: timekeeping watchdog on CPU1: Marking clocksource 'tsc' as unstable",
    "hrtimer: interrupt took 15846272 ns",
    "rcu: Hierarchical SRCU implementation.",
    "rcu: \tMax phase no-delay instances is 1000.",
    "kvmpv: no BUG: here, and no WARNING: either",
    "NMI watchdog: Perf NMI watchdog permanently disabled",
    "x86/mm: Checked W+X mappings: passed, no W+X pages found.",
    "sh[101]: segfault at 0 ip 0000000000401000 sp 00007ffd error 4 in sh",
    "Spectre V1 : Mitigation: usercopy/swapgs barriers and __user pointer sanitization",
    "kvmpv: loading out-of-tree module taints kernel.",
)


class Splats(unittest.TestCase):
    def test_every_report_is_found(self) -> None:
        for line in REPORTS:
            for stamp in ("[    1.234567] ", "<4>[    1.234567] ", "<1>[    1.234567][   T97] "):
                with self.subTest(line=stamp + line):
                    self.assertEqual([r.headline for r in splat.find(stamp + line)], [line])

    def test_nothing_harmless_is_found(self) -> None:
        for line in HARMLESS:
            self.assertEqual(splat.find(f"<4>[    1.234567] {line}"), [], line)

    def test_report_is_shown_whole_under_its_telling_line(self) -> None:
        (report,) = splat.find(WARNING)
        self.assertTrue(report.headline.startswith("WARNING: CPU: 1"))
        self.assertEqual(str(report), "\n".join(WARNING.splitlines()[1:-1]))

    def test_each_report_of_a_sanitizer_is_one(self) -> None:
        kasan, ubsan, oops = splat.find(SANITIZERS)
        self.assertIn("slab-out-of-bounds in cc_heap", kasan.headline)
        self.assertIn("Memory state", str(kasan))
        self.assertIn("UBSAN: shift-out-of-bounds", ubsan.headline)
        self.assertIn("KASAN: null-ptr-deref", str(oops))

    def test_allowed_report_does_not_hide_another(self) -> None:
        other = WARNING.replace("refcount_t: underflow", "something else").replace("97", "98")
        self.assertEqual(splat.find(WARNING, ["refcount_t"]), [])
        (left,) = splat.find(WARNING + other, ["refcount_t: underflow"])
        self.assertIn("PID: 98", left.headline)

    def test_reports_without_an_end_are_parted_by_their_beginnings_and_by_silence(self) -> None:
        log = (
            "[    1.000000] BUG: scheduling while atomic: a/1/0x2\n[    1.000001] Call Trace:\n"
            "[    1.100000] BUG: scheduling while atomic: b/2/0x2\n[    1.100001] Call Trace:\n"
            "[    9.000000] Call Trace:\n"
        )
        self.assertEqual(len(splat.find(log)), 3)

    def test_bare_stack_dump_keeps_its_reason(self) -> None:
        log = "[    1.000000] FAULT_INJECTION: forcing a failure.\n[    1.000001] Call Trace:\n"
        self.assertEqual(len(splat.find(log)), 1)
        self.assertEqual(splat.find(log, ["FAULT_INJECTION"]), [])


class Cpio(unittest.TestCase):
    def listing(self, archive: Archive) -> dict[str, str]:
        """The mode of each file by name, as cpio lists the archive."""

        def run(options: str) -> list[str]:
            done = subprocess.run(
                [tool("cpio"), options, "--quiet"],
                input=archive.image(),
                capture_output=True,
                check=True,
            )
            self.assertEqual(done.stderr, b"")
            return done.stdout.decode().splitlines()

        return dict(zip(run("-it"), (line.split()[0] for line in run("-itv")), strict=True))

    def test_entries(self) -> None:
        archive = Archive()
        archive.data("/a/b/script", b"#!/bin/sh\n", executable=True)
        archive.data("/odd", b"x" * 4097)
        archive.link("/a/link", "/odd")
        archive.character_device("/dev/console", 5, 1)
        self.assertEqual(
            self.listing(archive),
            {
                "a": "drwxr-xr-x",
                "a/b": "drwxr-xr-x",
                "a/b/script": "-rwxr-xr-x",
                "odd": "-rw-r--r--",
                "a/link": "lrwxrwxrwx",
                "dev": "drwxr-xr-x",
                "dev/console": "crw-------",
            },
        )

    def test_contents_survive(self) -> None:
        contents = {f"file{size}": bytes(range(size)) for size in range(9)}
        archive = Archive()
        for name, content in contents.items():
            archive.data(f"/{name}", content)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                [tool("cpio"), "-i", "--quiet"], input=archive.image(), cwd=folder, check=True
            )
            found = {file.name: file.read_bytes() for file in Path(folder).iterdir()}
        self.assertEqual(found, contents)

    def test_program_brings_its_libraries(self) -> None:
        archive = Archive()
        archive.file(Path("/usr/bin/python3"), "/root/python3")
        names = list(self.listing(archive))
        self.assertIn("lib64/ld-linux-x86-64.so.2", names)
        self.assertTrue(any(re.search(r"/libc\.so\.6$", name) for name in names))

    def test_folder_goes_in_as_it_is(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "sub").mkdir()
            (Path(folder) / "sub/file").write_text("x")
            (Path(folder) / "link").symlink_to("sub/file")
            archive = Archive()
            archive.tree(Path(folder), "/to")
        names = {"to": "d", "to/link": "l", "to/sub": "d", "to/sub/file": "-"}
        self.assertEqual({n: m[0] for n, m in self.listing(archive).items()}, names)

    def test_static_and_foreign_files_have_no_interpreter(self) -> None:
        for content in (b"", b"#!/bin/sh\n", b"\x7fELF\x01\x01" + bytes(80)):
            self.assertIsNone(elf.interpreter(content))


class Ends(unittest.TestCase):
    def test_token_is_found_however_the_stream_is_cut(self) -> None:
        stream = b"one tok two tokento\0ken"
        for size in range(1, len(stream) + 1):
            tail = Tail(b"to\0ken")
            pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
            self.assertEqual(b"".join(map(tail.feed, pieces)), b"one tok two token")
            self.assertTrue(tail.complete)

    def test_only_a_beginning_of_the_token_is_held_back(self) -> None:
        tail = Tail(b"token")
        self.assertEqual(tail.feed(b"live to"), b"live ")
        self.assertEqual(tail.feed(b"day"), b"today")
        self.assertFalse(tail.complete)


class Exits(unittest.TestCase):
    BEGUN = {
        "kvm_exit": "# event histogram\n#\n\n"
        "{ common_pid:        117, isa:          2, exit_reason:        124 } hitcount:       3310\n"
        "{ common_pid:        118, isa:          2, exit_reason:        123 } hitcount:         11\n"
        "{ common_pid:        118, isa:          2, exit_reason:       4242 } hitcount:          1\n"
        "{ common_pid:        999, isa:          2, exit_reason:        120 } hitcount:         70\n"
        "\nTotals:\n    Hits: 3392\n    Entries: 4\n    Dropped: 0\n",
        "kvm_eoi": "{ common_pid:        117, vector:        236 } hitcount:       2580\n"
        "{ common_pid:        118, vector:         33 } hitcount:          9\n"
        "{ common_pid:        999, vector:         33 } hitcount:          7\n",
        "kvm_pv_eoi": "{ common_pid:        117, vector:        236 } hitcount:       2432\n",
    }
    ENDED = {
        "kvm_exit": "{ common_pid: 117, isa: 2, exit_reason: 124 } hitcount: 10\n",
        "kvm_eoi": "{ common_pid: 117, vector: 236 } hitcount: 9\n",
        "kvm_pv_eoi": "",
    }

    def test_window(self) -> None:
        found = exits.window(self.BEGUN, self.ENDED, [117, 118])
        self.assertEqual(found.reasons, {"msr": 3300, "io": 10, "4242": 1})
        self.assertEqual((found.total, found.eoi, found.pv_eoi), (3311, 2580, 2432))
        self.assertEqual(found.eoi_exits, 148)
        self.assertEqual(
            (found.eoi_vectors, found.pv_eoi_vectors), ({236: 2571, 33: 9}, {236: 2432})
        )
        self.assertIn("eoi_exits                       148\n", found.table())

    def test_lost_counts_are_an_error(self) -> None:
        lost = {
            **self.BEGUN,
            "kvm_exit": self.BEGUN["kvm_exit"].replace("Dropped: 0", "Dropped: 7"),
        }
        with self.assertRaisesRegex(LabError, "7"):
            exits.window(lost, self.ENDED, [117])

    def test_a_mark_that_was_not_set_is_an_error(self) -> None:
        with self.assertRaisesRegex(LabError, "has not marked"):
            exits.window(self.BEGUN, {**self.ENDED, "kvm_exit": ""}, [117])


class CommandLine(unittest.TestCase):
    def refused(self, *words: str) -> str:
        """The one line of error that a wrong command line gets."""
        said = io.StringIO()
        with self.assertRaises(SystemExit) as stop, contextlib.redirect_stderr(said):
            arguments.parse(words)
        self.assertEqual(stop.exception.code, 2)
        self.assertEqual(said.getvalue().count("\n"), 1, said.getvalue())
        return said.getvalue()

    def test_options_end_at_the_command(self) -> None:
        asked = arguments.parse(["--smp", "1", "--cpu=-kvm-pv-eoi", "uname", "-a", "--", "--smp"])
        self.assertEqual(asked.options.command, "uname -a -- --smp")
        self.assertEqual((asked.options.smp, asked.options.cpu), (1, "-kvm-pv-eoi"))

    def test_two_dashes_part_options_and_command(self) -> None:
        asked = arguments.parse(["-q", "--no-load", "--", "--smp", "2"])
        self.assertEqual(asked.options.command, "--smp 2")
        self.assertFalse(asked.options.load)
        self.assertEqual(asked.options.timeout, 300)

    def test_wrong_command_lines(self) -> None:
        for words, said in (
            (["--host", "moon", "x"], "--host: 'moon' is none of auto, kvm, nested"),
            (["--clock", "slow", "x"], "--clock"),
            (["--smp", "0", "x"], "--smp"),
            (["--smp", "many", "x"], "--smp"),
            (["--timeout", "0", "x"], "--timeout"),
            (["--cpu", "qemu64", "x"], "--cpu"),
            (["--add", "/no/such/file", "x"], "--add"),
            (["--host-script", "/no/such/file", "x"], "--host-script"),
            (["--host", "kvm", "--host-qemu=-S", "x"], "--host-qemu: .*not emulated"),
            (["--host", "kvm", "--host-kernel=6.12", "x"], "--host-kernel: .*not emulated"),
            (["--lab-qemu", "8", "x"], "--lab-qemu: '8' is none of installed, 10"),
            (["--allow-splat", "(", "x"], "--allow-splat"),
            (["--kernal", "6.1", "x"], "unrecognized|--kernal"),
        ):
            self.assertRegex(self.refused(*words), said)

    def test_cpu_flags(self) -> None:
        for text, flags in (
            ("", []),
            ("host", []),
            ("host,-kvm-pv-eoi", ["-kvm-pv-eoi"]),
            ("kvm=off,+x2apic", ["kvm=off", "+x2apic"]),
        ):
            self.assertEqual(Options(cpu=text).cpu_flags(), flags)

    def test_where_additions_go(self) -> None:
        here = Path(__file__).resolve()
        for text, destination in (
            (f"{here}", f"/root/{here.name}"),
            (f"{here}:/etc/", f"/etc/{here.name}"),
            (f"{here}:/etc/x", "/etc/x"),
            ("/", "/root/"),
        ):
            self.assertEqual(Addition.parse(text).destination, destination)


class WhichQemu(unittest.TestCase):
    def test_environment_chooses_unless_the_command_line_does(self) -> None:
        other = next(name for name in qemu.NAMES if name != qemu.DEFAULT)
        cases: list[tuple[str | None, list[str], str]] = [
            (None, [], qemu.DEFAULT),
            ("", [], qemu.DEFAULT),
            (other, [], other),
            (other, ["--lab-qemu", qemu.DEFAULT], qemu.DEFAULT),
        ]
        for value, words, expected in cases:
            with mock.patch.dict(os.environ):
                os.environ.pop("KVMPV_QEMU", None)
                if value is not None:
                    os.environ["KVMPV_QEMU"] = value
                self.assertEqual(arguments.parse([*words, "x"]).options.lab_qemu, expected)

    def test_unpacked_one_is_started_with_all_that_is_its_own(self) -> None:
        root = Path("/cache/entry")
        found = qemu.Qemu("10", root / "usr/bin/qemu-system-x86_64", (10, 0), root)
        self.assertEqual(
            shlex.join(found.command()),
            "/usr/bin/env QEMU_MODULE_DIR=/cache/entry/usr/lib/x86_64-linux-gnu/qemu"
            " /cache/entry/usr/bin/qemu-system-x86_64 -L /cache/entry/usr/share/qemu"
            " -L /cache/entry/usr/share/seabios -L /cache/entry/usr/lib/ipxe/qemu",
        )


class EmulatedHost(unittest.TestCase):
    def test_same_sources_give_the_same_first_root_wherever_they_are(self) -> None:
        """Otherwise each clone would boot a host of its own instead of continuing from the one that is kept."""
        make = (
            "from lab import host_root, kernels;"
            " host = kernels.kernel(host_root.HOST_KERNEL);"
            " sys.stdout.buffer.write(host_root.initramfs(host, Path(argv[1])))"
        )
        start = f"import sys; from pathlib import Path; argv = sys.argv; {make}"

        def first_root(scripts: Path, folder: Path) -> bytes:
            folder.mkdir()
            return subprocess.run(
                [sys.executable, "-B", "-c", start, folder],
                env={**os.environ, "PYTHONPATH": str(scripts)},
                stdout=subprocess.PIPE,
                check=True,
            ).stdout

        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            copy = folder / "elsewhere"
            shutil.copytree(ROOT / "scripts", copy)
            here = first_root(ROOT / "scripts", folder / "1")
            there = first_root(copy, folder / "2")
            self.assertEqual(hash(here), hash(there))
            self.assertNotIn(os.fsencode(ROOT / "scripts/lab"), here)
            with (copy / "lab/on_host.py").open("a", encoding="utf-8") as file:
                file.write("CHANGED = True\n")
            self.assertNotEqual(hash(here), hash(first_root(copy, folder / "3")))

    def test_the_first_root_of_another_kernel_is_another(self) -> None:
        """So a host of that kernel is kept by another name."""
        roots = set()
        for name in ("6.1", "6.12"):
            with tempfile.TemporaryDirectory() as folder:
                roots.add(host_root.initramfs(kernel(name), Path(folder)))
        self.assertEqual(len(roots), 2)

    def test_a_clock_that_was_measured_wrong_is_found(self) -> None:
        """Two seconds, each look took at most 1 ms. The wrong rate is what a host had measured on a busy machine."""
        s = 1_000_000_000
        begin = Clocks(10 * s, 7 * s, 50_000, 2_500_000, 10 * s + 1_000_000)
        for monotonic_ns, tsc, tsc_khz, wrong in (
            (9 * s, 5_000_050_000, 2_500_000, None),
            (9 * s + 2_900_000, 5_000_050_000, 2_500_000, None),
            (9 * s - 2_900_000, 5_000_050_000, 2_500_000, None),
            (9 * s + 3_100_000, 5_000_050_000, 2_500_000, "CLOCK_MONOTONIC 2.003 s"),
            (9 * s - 3_100_000, 5_000_050_000, 2_500_000, "CLOCK_MONOTONIC 1.997 s"),
            (9 * s, 5_000_050_000, 106_798, "a TSC of 106798 kHz 46.817 s"),
            (9 * s, 5_000_050_000, 2_496_000, "a TSC of 2496000 kHz 2.003 s"),
        ):
            end = Clocks(12 * s, monotonic_ns, tsc, tsc_khz, 12 * s + 1_000_000)
            found = wrong_clock(replace(begin, tsc_khz=tsc_khz), end)
            if wrong is None:
                self.assertIsNone(found)
            else:
                self.assertIn(wrong, found or "")

    def test_one_with_a_wrong_clock_boots_again_but_not_for_ever(self) -> None:
        for right_at, boots in ((1, 1), (3, 3), (4, 3)):
            booted = 0

            def boot(state: Path) -> None:
                nonlocal booted
                booted += 1
                if booted < right_at:
                    raise WrongClock("wrong")
                state.write_text("state", encoding="ascii")

            said = io.StringIO()
            with tempfile.TemporaryDirectory() as folder, mock.patch.dict(
                os.environ, {"KVMPV_CACHE": folder}
            ), contextlib.redirect_stderr(said):
                if right_at <= boots:
                    file = host_state.saved([], boot)
                    self.assertEqual(file.read_text(encoding="ascii"), "state")
                else:
                    self.assertRaises(WrongClock, host_state.saved, [], boot)
                    self.assertFalse(list(Path(folder).glob("entries/host-*")))
            self.assertEqual(booted, boots)
            self.assertEqual(said.getvalue().count("wrong; it boots again"), boots - 1)

    def test_the_rate_of_the_tsc_is_the_same_whenever_it_is_measured(self) -> None:
        """To a part in ten thousand, a tenth of what a kept host is allowed."""
        rates = [Tsc().khz() for _ in range(3)]
        self.assertLessEqual(max(rates) - min(rates), max(rates) // 10_000)


class OtherSuite(unittest.TestCase):
    """Apt reads another suite of the machine's mirror. It ignores the machine's own suite and leaves it unchanged."""

    def test_is_all_that_there_is(self) -> None:
        before = self.lists()
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(
            os.environ, {"KVMPV_CACHE": folder}
        ):
            other = archive.Archive(*qemu.SUITES)
            found = other.find("qemu-system-x86", fits=lambda p: "~bpo12+" in p.version)
            self.assertIn("qemu-system-common", found.depends)
            with contextlib.redirect_stderr(io.StringIO()), self.assertRaisesRegex(
                LabError, "no fitting package busybox-static"
            ):
                other.find("busybox-static")  # the machine's own suite has it
            (sources,) = Path(folder).glob("*/sources.list")
            line = sources.read_text(encoding="utf-8")
        mirror = subprocess.run(
            [tool("apt-get"), "indextargets", "--format", "$(REPO_URI)"],
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertIn(line.split()[2], mirror.stdout.split())
        self.assertEqual(self.lists(), before)

    def lists(self) -> list[tuple[str, int]]:
        return sorted(
            (file.name, file.stat().st_mtime_ns) for file in Path("/var/lib/apt/lists").iterdir()
        )


class AHostThatHangs(unittest.TestCase):
    def test_a_tick_that_finds_no_room_is_left_out(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    ours.send(b"x")
            ours.setblocking(True)
            session = run._Session.__new__(run._Session)
            session._host = mock.Mock(link=Link(ours.fileno()))
            session._audience = mock.Mock(keys=None)
            session._deadline, session._next_tick, session._ready = None, 0.0, True
            signal.setitimer(signal.ITIMER_REAL, 10)  # ends this program if it waits for room
            session._wait({})
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.assertGreater(session._next_tick, 0)


# In the form in which QEMU answers. CPU 0 is as one was that waited with interrupts off; the rest is made up.
REGISTERS = """\

CPU#0
RAX=0000000000001298 RBX=0000000000000005 RCX=0000000000000000 RDX=0000000000006b90
RSI=0000000000000000 RDI=ffffffff8336efc0 RBP=ffffffff83237f40 RSP=ffa0000000003dd8
RIP=ffffffff81494928 RFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0
FCW=037f FSW=0000 [ST=0] FTW=00 MXCSR=00001f80

CPU#1
RSI=0000000000000003 RDI=ffffffff84001cc8 RBP=ff1100001d133a80 RSP=00007fffd823f570
RIP=0000000000401f38 RFL=00000246 [---Z-P-] CPL=3 II=0 A20=1 SMM=0 HLT=1
"""
STACK = """\
ffa0000000003dd8: 0x0000000000000000 0xffffffff81496c20
ffa0000000003de8: 0xff1100001d133ec0 0xffffffff81aaaaaa
"""


class AGuestThatHangs(unittest.TestCase):
    def test_says_where_its_cpus_are(self) -> None:
        said = [
            "CPU 0: at ffffffff81494928, stack ffa0000000003dd8, interrupts off",
            "CPU 1: at 0000000000401f38, stack 00007fffd823f570, interrupts on, halted",
        ]
        self.assertEqual(list(standstill.cpus(REGISTERS)), said)
        monitor = mock.Mock(side_effect=[REGISTERS, REGISTERS, "", STACK])
        with mock.patch.object(standstill, "APART", 0):
            lines = list(standstill.where(mock.Mock(monitor=monitor)))
        # CPU 1 is in user space: what is on its stack says nothing of the kernel.
        stack = "CPU 0 may return to: ffffffff81496c20 ffffffff81aaaaaa"
        self.assertEqual(lines, [*said, *said, stack])

    def test_a_qemu_that_is_gone_or_silent_is_said(self) -> None:
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as silent:
            silent.bind(f"{folder}/silent")
            silent.listen()
            for name, why in ("none", "No such file"), ("silent", "timed out"):
                said = io.StringIO()
                with contextlib.redirect_stdout(said), mock.patch.object(
                    standstill, "PATIENCE", 0.01
                ):
                    standstill.main(f"{folder}/{name}")
                self.assertRegex(said.getvalue(), f"^QEMU does not say .*{why}")

    def test_is_asked_once_and_what_comes_later_does_not_count(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            session = run._Session.__new__(run._Session)
            session._record = Record()
            session._host = mock.Mock(link=Link(ours.fileno()))
            session._started, session._asked = True, False
            session._time_is_up()
            self.assertEqual(session._record.end, {})
            asked = Link(theirs.fileno())
            self.assertEqual(list(asked.receive()), [(frames.WHERE, b"")])
            session._handle(frames.RESULT, b'{"end": "ended", "status": 0}', {})
            self.assertEqual(session._record.end, {})
            session._handle(frames.WHERE, b"CPU 0: at 0\n", {})
            result = judge(Options("x"), session._record)
            self.assertEqual((result.status, result.details), (TIME_UP, "CPU 0: at 0"))

    def test_a_host_that_does_not_answer_ends_the_run(self) -> None:
        session = run._Session.__new__(run._Session)
        session._record, session._started, session._asked = Record(), True, True
        session._time_is_up()
        self.assertEqual(judge(Options("x"), session._record).details, SILENT)


class Verdicts(unittest.TestCase):
    BOOT = b"<5>[    0.000000] Linux version 6.1.0\n"

    def judge(
        self, log: bytes = BOOT, console: bytes = b"", **end: object
    ) -> tuple[int, str | None]:
        record = Record(log=bytearray(log), console=bytearray(console), end=end)
        result = judge(Options("x"), record)
        return result.status, result.failure

    def test_command_status_is_passed_on(self) -> None:
        for status in (0, 1, 124, 255):
            self.assertEqual(self.judge(end="ended", status=status), (status, None))

    def test_failures_have_their_own_status(self) -> None:
        script = {"told": False, "in_time": True}
        cases: list[tuple[int, str, dict[str, Any]]] = [
            (TIME_UP, "did not end in 300 s", {"end": "timeout"}),
            (FAILED, "exit status 0", {"end": "died", "status": 0, "qemu": ""}),
            (FAILED, "SIGSEGV", {"end": "died", "status": -11, "qemu": "why\n"}),
            (FAILED, "refused", {"end": "refused", "status": 1}),
            (FAILED, r"host ended by itself \(SIGSEGV\)", {"end": "host", "status": -11}),
            (FAILED, r"its link is closed", {"end": "host", "status": None}),
            (FAILED, "the lab failed", {"end": "broken", "said": "IndexError"}),
            (
                FAILED,
                "host script",
                {"end": "ended", "status": 0, "script": {**script, "status": 3}},
            ),
        ]
        for expected, said, end in cases:
            status, failure = self.judge(**end)
            self.assertEqual(status, expected)
            self.assertRegex(failure or "", said)

    def test_a_fault_of_the_lab_on_the_host_is_told_with_its_place(self) -> None:
        with mock.patch.object(on_host, "Run", side_effect=IndexError("no such word")):
            end = on_host._result(cast(Link, None), {})
        result = judge(Options("x"), Record(end=end))
        self.assertEqual(result.status, FAILED)
        self.assertTrue(result.details.endswith("IndexError: no such word"), result.details)
        self.assertIn("_result", result.details)

    def test_a_report_fails_the_run_wherever_it_shows(self) -> None:
        bug = b"<0>[    9.000000] BUG: scheduling while atomic: sh/1/0x2\n"
        for log, console in ((self.BOOT + bug, b""), (self.BOOT, bug)):
            status, failure = self.judge(log, console, end="ended", status=0)
            self.assertEqual(status, FAILED)
            self.assertIn("scheduling while atomic", failure or "")

    def test_a_guest_that_died_is_shown_with_the_reason_that_came_first(self) -> None:
        fault = "[    9.000000] BUG: unable to handle page fault for address: ffff888000000000\n"
        rest = "".join(f"[    9.000000] R{line:03}: 0\n" for line in range(100))
        panic = "[    9.100000] Kernel panic - not syncing: Fatal exception in interrupt\n"
        console = f"[    8.000000] quiet before\n{fault}{rest}{panic}".encode()
        for end in {"end": "died", "status": 0, "qemu": ""}, {"end": "timeout"}:
            result = judge(Options("x"), Record(console=bytearray(console), end=end))
            self.assertIn("after: BUG: unable to handle page fault", result.failure or "")
            self.assertTrue(result.details.startswith(fault.strip()), result.details)
            self.assertNotIn("R099", result.details)
            quiet = Record(console=bytearray(rest.encode()), end=end)
            details = judge(Options("x"), quiet).details
            *lines, last = details.splitlines()
            if end["end"] == "timeout":
                self.assertEqual(last, SILENT)
                last = lines[-1]
            self.assertTrue(last.endswith("R099: 0"), details)

    def test_a_log_without_its_beginning_fails_the_run(self) -> None:
        status, failure = self.judge(log=b"<6>[    5.000000] usb\n", end="ended", status=0)
        self.assertEqual(status, FAILED)
        self.assertIn("overflowed", failure or "")

    def test_a_console_is_readable(self) -> None:
        self.assertEqual(plain(b"\x1bc\x1b[?7l\x1b[2JSea\x1b[0mBIOS\r\n"), "SeaBIOS\n")


if __name__ == "__main__":
    unittest.main()
