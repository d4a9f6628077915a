# SPDX-License-Identifier: GPL-2.0-only
"""What a host script can do to its guest. In a script: from lab.beside import Guest.

    guest = Guest()
    guest.wait_for_output(b"ready")  # COMMAND: echo ready; read -r word <&9; ...
    guest.pin(0, 1)
    guest.say("go")
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.gdbstub import GdbStub
from lab.qmp import Qmp
from lab.vcpus import vcpu_threads

POLL = 0.02  # seconds; Python cannot wait for a socket to be there

# Called while a guest has been moved and does not run yet, with the process that has its memory.
AtRest = Callable[[int], None]


def nothing(_qemu: int) -> None:
    pass


def wait_for_growth(patience: float | None = None) -> bool:
    """Wait until the guest has written to its console or its stdout since the last such wait. False if it did not in time."""
    grown = int(os.environ["KVMPV_GROWN"])
    if not select.select([grown], [], [], patience)[0]:
        return False
    os.read(grown, 1 << 16)
    return True


@dataclass(frozen=True)
class Access:
    """An access of the guest's to an MSR, and what --shim did with it."""

    is_write: bool
    cpu: int
    msr: int
    value: int
    done: str  # let, refused, ignored, served; failed: let, and the host itself refused

    @staticmethod
    def parse(line: str) -> Access:
        kind, cpu, msr, value, done = line.split()
        return Access(kind == "write", int(cpu), int(msr, 16), int(value, 16), done)


class Guest:
    """The guest that the environment variables name."""

    def __init__(self) -> None:
        self.run_dir = Path(os.environ["KVMPV_RUN_DIR"])
        self.threads = [int(thread) for thread in os.environ["KVMPV_VCPU_TIDS"].split()]
        self.pid = int(os.environ["KVMPV_QEMU_PID"])
        self.qmp = Qmp(os.environ["KVMPV_QMP"])
        self._gdb = os.environ["KVMPV_GDB"]
        self._moves = 0
        self._process: subprocess.Popen[bytes] | None = None  # the second QEMU, after a migration

    # ---- Output of the guest, and messages to it

    def output(self) -> bytes:
        """What COMMAND has written to stdout so far."""
        return Path(os.environ["KVMPV_OUTPUT"]).read_bytes()

    def wait_for_output(self, text: bytes, patience: float = 60.0) -> None:
        deadline = time.monotonic() + patience
        while text not in self.output():
            if not wait_for_growth(max(deadline - time.monotonic(), 0)):
                raise TimeoutError(f"COMMAND did not print {text!r} in {patience:g} s")

    def say(self, line: str) -> None:
        """Send a line, which COMMAND can read from its descriptor 9."""
        with open(os.environ["KVMPV_SAY"], "w", encoding="utf-8") as pipe:
            pipe.write(f"{line}\n")

    # ---- The KVM host that --shim plays

    def switch_on(self, *names: str) -> None:
        """From now on the rules of SPEC with `when` and one of these names are in force, and those with others are not."""
        fresh = self.run_dir / "shim.fresh"
        fresh.write_text(" ".join(names), encoding="utf-8")
        fresh.rename(os.environ["KVMPV_SHIM_ON"])

    def accesses(self) -> list[Access]:
        """What the guest has done so far with the MSRs of SPEC."""
        log = Path(os.environ["KVMPV_SHIM_LOG"])
        return [Access.parse(line) for line in log.read_text("ascii").splitlines()]

    # ---- Its CPUs

    def pin(self, vcpu: int, cpu: int) -> None:
        """Bind a CPU of the guest to one CPU of the host."""
        os.sched_setaffinity(self.threads[vcpu], {cpu})

    def share_cpu(self) -> int:
        """Bind all CPUs of the guest to one CPU of the host, and return that. Busy ones then lose time to each other."""
        cpu = min(os.sched_getaffinity(0))
        for vcpu in range(len(self.threads)):
            self.pin(vcpu, cpu)
        return cpu

    def run_delay(self, vcpu: int) -> int:
        """For how many ns this CPU of the guest could have run and did not: its true steal time."""
        text = Path(f"/proc/{self.pid}/task/{self.threads[vcpu]}/schedstat").read_text("ascii")
        return int(text.split()[1])

    # ---- Its memory

    def read_physical(self, address: int, length: int) -> bytes:
        stub = GdbStub(self._gdb)
        data = stub.read(address, length)
        stub.close()
        return data

    def write_physical(self, address: int, data: bytes) -> None:
        stub = GdbStub(self._gdb)
        stub.write(address, data)
        stub.close()

    # ---- Migration

    def migrate(self, asleep: float = 0.0, at_rest: AtRest = nothing) -> None:
        """Migrate the guest to a second QEMU through a file, in which it stays for `asleep` seconds. The guest is stopped
        meanwhile; on a nested host that takes seconds by itself. at_rest() comes before it runs again.
        """
        file = self.run_dir / "state"
        source, process, target = self.qmp, *self._second_qemu()
        source.command("stop")
        _start(source, "migrate", f"exec:cat > {file}")
        _wait(source)
        time.sleep(asleep)
        _start(target, "migrate-incoming", f"exec:cat {file}")
        _wait(target)
        file.unlink()
        at_rest(process.pid)
        target.command("cont")
        self._is_now(process, target)

    def migrate_live(self, at_rest: AtRest | None = None) -> None:
        """Migrate the guest to a second QEMU while it runs. It is stopped only for the last part. at_rest() comes before it
        runs again, and then the second QEMU waits for that.
        """
        paused = ["-S"] if at_rest else []
        source, process, target = self.qmp, *self._second_qemu(*paused)
        _start(target, "migrate-incoming", f"unix:{self.run_dir}/moving-{self._moves}")
        _start(source, "migrate", f"unix:{self.run_dir}/moving-{self._moves}")
        _wait(source)
        _wait(target)
        if at_rest:
            at_rest(process.pid)
            target.command("cont")
        target.wait("RESUME")
        self._is_now(process, target)

    def _is_now(self, process: subprocess.Popen[bytes], target: Qmp) -> None:
        # The second QEMU is connected by now. A guest without a connection would count as dead.
        self.qmp.command("quit")
        self.qmp.close()
        self.qmp, self.pid, self.threads = target, process.pid, vcpu_threads(process.pid)
        self._process = process

    def _second_qemu(self, *more: str) -> tuple[subprocess.Popen[bytes], Qmp]:
        """Start a QEMU with the same machine and its own control sockets, which waits for the guest."""
        self._moves += 1
        renamed = {
            os.environ[name]: f"{os.environ[name]}-{self._moves}"
            for name in ("KVMPV_QMP", "KVMPV_GDB")
        }
        arguments = []
        for argument in json.loads(os.environ["KVMPV_ARGS"]):
            for old, new in renamed.items():
                argument = argument.replace(f"unix:{old},", f"unix:{new},")
            arguments.append(argument)
        with open(self.run_dir / f"qemu-{self._moves}.txt", "wb") as said:
            process = subprocess.Popen(
                [*arguments, *more, "-incoming", "defer"],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        self._gdb = renamed[os.environ["KVMPV_GDB"]]
        return process, _connect(renamed[os.environ["KVMPV_QMP"]], process)


def _connect(path: str, process: subprocess.Popen[bytes]) -> Qmp:
    """Wait until QEMU has created the socket and listens on it, which takes a moment after its start."""
    while process.poll() is None:
        try:
            return Qmp(path)
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(POLL)
    raise RuntimeError("the second QEMU did not start")


def _start(qemu: Qmp, command: str, uri: str) -> None:
    on = [{"capability": "events", "state": True}]
    qemu.command("migrate-set-capabilities", capabilities=on)
    qemu.command(command, uri=uri)


def _wait(qemu: Qmp) -> None:
    done = qemu.wait("MIGRATION", lambda e: e["data"]["status"] in ("completed", "failed"))
    if done["data"]["status"] == "failed":
        raise RuntimeError(f"the migration failed: {qemu.command('query-migrate')}")
