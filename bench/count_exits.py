#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""On the KVM host: counts VM exits between two marks, again and again, in a guest that several works share (plan.py).

The guest prints `host: arm N`, waits for the answer, sets the marks, prints `host: read N`, and waits for the answer; then this
has printed what was counted. scripts/guest ends it with the guest.
"""

from __future__ import annotations

import json
import os
import subprocess

from lab.beside import Guest
from lab.exit_counter import ExitCounter
from lab.exits import window


def main() -> None:
    guest = Guest()
    counter: ExitCounter | None = None
    # It wakes only when the file has grown. One who looks again and again takes the time from the guest that he waits for.
    follow = ["tail", "--lines=+1", "--follow", os.environ["KVMPV_OUTPUT"]]
    with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True, errors="replace") as tail:
        assert tail.stdout is not None
        for line in tail.stdout:
            if line.startswith("host: arm "):
                counter = ExitCounter(guest.threads)
                guest.say("armed")
            elif line.startswith("host: read ") and counter is not None:
                guest.qmp.command(
                    "stop"
                )  # or it goes on counting between one histogram and the next
                found = counter.read()
                counter.close()
                guest.qmp.command("cont")
                between = window(found["begun"], found["ended"], guest.threads)
                print(json.dumps(between.as_dict()), flush=True)
                guest.say("read")


if __name__ == "__main__":
    main()
