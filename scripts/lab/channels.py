# SPDX-License-Identifier: GPL-2.0-only
"""The channels of a running guest: its virtio ports, its serial console, and the two I/O ports that mark COMMAND.

Every channel is a unix socket on the KVM host, to which the guest's QEMU connects. So a second QEMU that takes the guest over
(migration) reaches the same listeners. guest_init.sh is the other end: it opens /dev/vport0pN by the numbers below.
"""

from __future__ import annotations

CONSOLE = "console"
TERMINAL = "terminal"

# Port 0 of a virtio-serial device is reserved for a console. The interactive shell uses it, as hvc0.
PORTS = {
    "control": 1,  # lines in both directions: ready, go, ended STATUS, ...
    "output": 2,
    "errors": 3,
    "word": 4,  # to the guest: what the host script sends to COMMAND
    "log": 5,
}

# The guest writes to these ports right before and right after COMMAND. No device of QEMU's PC answers here: below 0x1000 are the
# board's own devices, from 0xae00 on hotplug and the PCI cards. And Linux uses neither for its I/O delay (0x80, 0xed).
BEGIN_MARK = 0x4B56
END_MARK = BEGIN_MARK + 1  # the next port: a write to /dev/port advances the file position


def devices(work: str) -> list[str]:
    """The QEMU arguments for these channels. `work` is the folder of the sockets on the KVM host."""

    def socket(name: str) -> list[str]:
        return ["-chardev", f"socket,id={name},path={work}/{name}"]

    arguments = [*socket(CONSOLE), "-serial", f"chardev:{CONSOLE}"]
    # Every possible port has a pair of queues, and to set one up costs VM exits.
    arguments += ["-device", f"virtio-serial-pci,max_ports={len(PORTS) + 1}"]
    arguments += [*socket(TERMINAL), "-device", f"virtconsole,chardev={TERMINAL},nr=0"]
    for name, number in PORTS.items():
        arguments += [*socket(name), "-device", f"virtserialport,chardev={name},nr={number}"]
    return arguments
