#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""On the KVM host: migrates, saves and stops the guest when the guest asks for it (asked.py).

  live            migrates it to a second QEMU while it runs; the answer is how long that took, in ms
  save SECONDS    saves it to a file, and restores it in another QEMU that much later; the answer is as above
  stop SECONDS    stops it for that long; the answer is as above
  now             the answer is the host's clock, in ms
  let-reboot      from now on the guest may reset itself, which usually ends QEMU; the answer is how often it has
"""

from __future__ import annotations

import time

from asked import reply, requests
from lab.beside import Guest


class Host:
    def __init__(self) -> None:
        self._guest = Guest()
        self._resets = 0

    def do(self, verb: str, arguments: list[str]) -> str:
        begin = time.monotonic()
        if verb == "live":
            self._guest.migrate_live()
        elif verb == "save":
            self._guest.migrate(float(arguments[0]))
        elif verb == "stop":
            self._guest.qmp.command("stop")
            time.sleep(float(arguments[0]))
            self._guest.qmp.command("cont")
        elif verb == "now":
            return f"{begin * 1000:.0f}"
        elif verb == "let-reboot":
            return self._let_reboot()
        else:
            raise ValueError(f"the guest asks for {verb}")
        return f"{(time.monotonic() - begin) * 1000:.0f}"

    def _let_reboot(self) -> str:
        self._guest.qmp.command("set-action", reboot="reset")
        resets = self._guest.qmp.taken("RESET", lambda event: event["data"]["guest"] is True)
        self._resets += len(resets)
        return str(self._resets)


def main() -> None:
    host = Host()
    for verb, *arguments in requests():
        reply(verb, arguments, host.do(verb, arguments))


if __name__ == "__main__":
    main()
