# SPDX-License-Identifier: GPL-2.0-only
"""The part of the QEMU machine protocol that the host scripts need."""

from __future__ import annotations

import json
import os
import socket
from typing import Any


class Qmp:
    """The guest's QEMU. A command waits for its answer, and events that come meanwhile are kept."""

    def __init__(self, path: str | None = None) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path or os.environ["KVMPV_QMP"])
        self._lines = self._socket.makefile("r", encoding="utf-8")
        self._events: list[str] = []
        self._next()  # the greeting
        self.command("qmp_capabilities")

    def _next(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise ConnectionError("QEMU closed its QMP socket")
        message: dict[str, Any] = json.loads(line)
        return message

    def command(self, name: str, **arguments: object) -> Any:
        request = {"execute": name, "arguments": arguments}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            message = self._next()
            if "event" in message:
                self._events.append(message["event"])
            elif "error" in message:
                raise RuntimeError(f"{name}: {message['error']['desc']}")
            else:
                return message["return"]

    def wait_for(self, event: str) -> None:
        """Wait for an event. Returns at once if it has come since the last wait for it."""
        while event not in self._events:
            message = self._next()
            if "event" in message:
                self._events.append(message["event"])
        self._events.remove(event)
