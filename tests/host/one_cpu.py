#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""On the KVM host: binds all vCPUs to one CPU and sends the guest a line about that. Then wakes the guest when it sleeps.

Busy vCPUs then take turns, however many CPUs the host has. So each of them loses time to the other.
"""

from __future__ import annotations

from lab.beside import Guest
from wake import wake_for_ever


def main() -> None:
    guest = Guest()
    cpu = guest.share_cpu()
    print(f"all vCPUs share CPU {cpu} of the host", flush=True)
    guest.say(f"CPU {cpu}")
    wake_for_ever(guest.qmp)


if __name__ == "__main__":
    main()
