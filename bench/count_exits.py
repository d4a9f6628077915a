#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""On the KVM host: counts VM exits between two marks, again and again, in a guest that several works share (plan.py).

The guest prints `host: arm N`, waits for the answer, sets the marks, prints `host: read N`, and waits for the answer; then this
has printed what was counted. scripts/guest ends it with the guest.
"""

from __future__ import annotations

import json
from itertools import count

from lab.beside import Guest
from lab.exit_counter import ExitCounter
from lab.exits import window

PATIENCE = 3600.0  # seconds: the guest has its own timeout


def main() -> None:
    guest = Guest()
    for number in count():
        guest.wait_for_output(b"host: arm %d\n" % number, PATIENCE)
        counter = ExitCounter(guest.threads)
        guest.say("armed")
        guest.wait_for_output(b"host: read %d\n" % number, PATIENCE)
        guest.qmp.command("stop")  # or it goes on counting between one histogram and the next
        found = counter.read()
        counter.close()
        guest.qmp.command("cont")
        print(
            json.dumps(window(found["begun"], found["ended"], guest.threads).as_dict()), flush=True
        )
        guest.say("read")


if __name__ == "__main__":
    main()
