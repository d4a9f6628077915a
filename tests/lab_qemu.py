#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the lab with a QEMU that it has unpacked, and with one that ends unexpectedly. Both emulate the host.

usage: lab_qemu.py - runs both tests and prints the results
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from built import ROOT
from ktap import Case

from lab.host import PARAMETERS
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
    status, output = _run(
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
    ], output


def _firmware(root: Path) -> bytes:
    return (root / "usr/share/seabios/bios-256k.bin").read_bytes()


# A kernel without a first process panics. These options make it restart the machine by a triple fault.
RESTARTS = f"{PARAMETERS} reboot=t,force rdinit=/none"


def ends_by_itself() -> tuple[list[Case], str]:
    """The lab says how the QEMU that emulates the host has ended, and shows what it had printed."""
    runs = {
        "SIGSEGV": _killed(signal.SIGSEGV),
        "exit status 1": _run([*GUEST, "--host-qemu=-no-such-option", "--", "true"]),
        "exit status 0, after a triple fault": _run(
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


def _run(command: list[str]) -> tuple[int, str]:
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    return done.returncode, done.stdout


if __name__ == "__main__":
    failed = False
    for test in (unpacked, ends_by_itself):
        cases, _ = test()
        for case in cases:
            print(f"{'ok' if case.passed else 'not ok'} {test.__name__}: {case.name}")
            if not case.passed:
                failed = True
                print(case.detail)
    sys.exit(failed)
