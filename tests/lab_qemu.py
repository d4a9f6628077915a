#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the lab with a QEMU that it has unpacked, and with one that ends unexpectedly. Both emulate the host.

usage: lab_qemu.py - runs the tests and prints what came of them
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from built import ROOT, run
from ktap import Case

from lab import host_root
from lab.host import PARAMETERS
from lab.kernels import kernel
from lab.mended_qemu import mended
from lab.qemu import NEWER, qemu

GUEST = ["scripts/guest", "-q", "--host", "nested", "--no-load"]
# It starts only if it finds a boot ROM.
CARD = [
    "--qemu=-netdev",
    "--qemu=user,id=net",
    "--qemu=-device",
    "--qemu=virtio-net-pci,netdev=net",
]
DMI = "/sys/class/dmi/id"


def unpacked() -> tuple[list[Case], str]:
    """A guest on the unpacked QEMU, on a machine without the firmware of any QEMU, so that it can use only its own."""
    mine = qemu(NEWER)
    assert mine.root is not None
    hidden = ("/usr/share/qemu", "/usr/share/seabios", "/usr/lib/ipxe")
    script = "".join(f"mount -t tmpfs tmpfs {folder} && " for folder in hidden) + 'exec "$@"'
    namespace = ["unshare", "--mount"] + (["--map-root-user"] if os.geteuid() != 0 else [])
    look = f"cat {DMI}/product_version {DMI}/bios_version; ls /sys/bus/pci/devices/*/rom"
    status, output = run(
        [*namespace, "sh", "-c", script, "sh", *GUEST, "--lab-qemu", NEWER, *CARD, "--", look]
    )
    seabios = re.search(rb"\d[\w.]*-debian-[\w.~+-]+", _firmware(mine.root))
    version = ".".join(map(str, mine.version))
    return [
        Case("the guest ran", status == 0, f"exit status {status}"),
        Case("on this QEMU", bool(re.search(rf"^pc-i440fx-{version}$", output, re.M)), output),
        Case(
            "by its own firmware",
            seabios is not None and seabios[0].decode() in output.split(),
            f"{seabios}",
        ),
        Case("the network card has its ROM", output.count("/rom\n") == 1, output),
        Case("the host's QEMU is mended", mended(mine) != mine, output),
    ], output


def _firmware(root: Path) -> bytes:
    return (root / "usr/share/seabios/bios-256k.bin").read_bytes()


def kept() -> tuple[list[Case], str]:
    """The emulated host boots once, and later runs go on from there, in the machine's time."""
    boots = "the KVM host boots, once for all runs"
    with tempfile.TemporaryDirectory() as folder:
        entries = Path(folder) / "entries"
        entries.mkdir()
        # A cache in which there is all but a host.
        image = host_root.image(kernel(host_root.HOST_KERNEL)).parent
        for entry in (image, image.parent / host_root.HOST_KERNEL):
            (entries / entry.name).symlink_to(entry)
        guest = ["env", f"KVMPV_CACHE={folder}", *GUEST, "--lab-qemu", "installed"]
        guest += ["--kernel", host_root.HOST_KERNEL, "--", "date +%s"]
        results: list[Case] = []
        outputs: list[str] = []

        def case(name: str, passed: bool) -> None:
            results.append(Case(name, passed, outputs[-1]))

        def run_guest() -> int:
            status, output = run(guest)
            outputs.append(output)
            return status

        case("the first run boots it", run_guest() == 0 and boots in outputs[-1])
        (state,) = entries.glob("host-*/state")
        before = int(time.time())
        case("the second does not", run_guest() == 0 and boots not in outputs[-1])
        times = [int(line) for line in outputs[-1].splitlines() if line.isdecimal()]
        # The guest reads its real-time clock at boot, which has whole seconds.
        case("it has the machine's time", before - 1 <= times[-1] <= int(time.time()) + 1)
        os.truncate(state, state.stat().st_size // 2)
        ended = "the KVM host ended by itself (exit status 1)"
        case("what is cut off is said", run_guest() == 125 and ended in outputs[-1])
        shutil.rmtree(state.parent)
        case("what was dropped is made anew", run_guest() == 0 and boots in outputs[-1])
    return results, "".join(outputs)


# A kernel without a first process panics. These options make it restart the machine by a triple fault.
RESTARTS = f"{PARAMETERS} reboot=t,force rdinit=/none"


def ends_by_itself() -> tuple[list[Case], str]:
    """The lab says how the QEMU that emulates the host has ended, and shows what it had printed."""
    runs = {
        "SIGSEGV": _killed(signal.SIGSEGV),
        "exit status 1": run([*GUEST, "--host-qemu=-no-such-option", "--", "true"]),
        "exit status 0, after a triple fault": run(
            [*GUEST, "--host-qemu=-append", f"--host-qemu={RESTARTS}", "--", "true"]
        ),
    }
    printed = {
        "exit status 1": "-no-such-option: invalid option",
        "exit status 0, after a triple fault": "Kernel panic",
    }
    results = [
        Case(
            how,
            status == 125
            and f"guest: the KVM host ended by itself ({how})" in output.splitlines()
            and printed.get(how, "") in output,
            output,
        )
        for how, (status, output) in runs.items()
    ]
    return results, "".join(output for _, output in runs.values())


def stands_still() -> tuple[list[Case], str]:
    """Of a guest that does not end in time the lab says where it stands."""
    status, output = run([*GUEST, "--smp", "1", "--timeout", "15", "--", "while :; do :; done"])
    looks = re.findall(r"CPU 0: at [0-9a-f]{16}, stack [0-9a-f]{16}, interrupts o(?:n|ff)", output)
    return [
        Case("the time was up", status == 124, f"exit status {status}"),
        Case("two looks at its CPU", len(looks) == 2, output),
    ], output


def _killed(number: int) -> tuple[int, str]:
    with tempfile.TemporaryFile() as said:
        guest = subprocess.Popen(
            [*GUEST, "--", "true"], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        while (emulator := _emulator(guest.pid)) is None and guest.poll() is None:
            time.sleep(0.05)  # nothing signals a child of another program
        if emulator is not None:
            os.kill(emulator, number)
        status = guest.wait()
        said.seek(0)
        return status, said.read().decode(errors="replace")


def _emulator(parent: int) -> int | None:
    """The process ID of the QEMU that emulates the host, a child of scripts/guest."""
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii")
        for child in children.split():
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            # Not the one that only prints its version.
            if Path(os.fsdecode(words[0])).name.startswith("qemu-system") and b"kvm-host" in words:
                return int(child)
    except FileNotFoundError:
        pass  # it has ended since
    return None


if __name__ == "__main__":
    failed = False
    for test in (unpacked, ends_by_itself, stands_still, kept):
        cases, _ = test()
        for case in cases:
            print(f"{'ok' if case.passed else 'not ok'} {test.__name__}: {case.name}")
            if not case.passed:
                failed = True
                print(case.detail)
    sys.exit(failed)
