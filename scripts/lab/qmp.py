# SPDX-License-Identifier: GPL-2.0-only
"""A client of the QEMU machine protocol (QMP)."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

Event = dict[str, Any]


class QmpError(Exception):
    """QEMU rejected a command or closed the connection."""


class Qmp:
    """A connection. QEMU serves one at a time on each socket."""

    def __init__(self, path: str, patience: float | None = None) -> None:
        """`patience`: seconds for each answer, after which it is a TimeoutError; None: for ever."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(patience)
        self._socket.connect(path)
        self._lines = self._socket.makefile("r", encoding="utf-8")
        self._events: list[Event] = []
        self._receive()  # the greeting
        self.command("qmp_capabilities")

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def command(self, name: str, **arguments: Any) -> Any:
        """Run a command and return its result. Underscores in argument names stand for dashes."""
        named = {key.replace("_", "-"): value for key, value in arguments.items()}
        request = json.dumps({"execute": name, "arguments": named})
        self._socket.sendall(request.encode())
        while True:
            answer = self._receive()
            if "event" in answer:
                self._events.append(answer)
            elif "error" in answer:
                raise QmpError(f"{name}: {answer['error']['desc']}")
            else:
                return answer["return"]

    def monitor(self, line: str) -> str:
        """Run a line of the human monitor and return its output."""
        return str(self.command("human-monitor-command", command_line=line))

    def wait(self, name: str, fits: Callable[[Event], bool] = lambda event: True) -> Event:
        """Wait for an event. Earlier events that nobody has waited for count, too."""
        while True:
            for event in self._events:
                if event["event"] == name and fits(event):
                    self._events.remove(event)
                    return event
            answer = self._receive()
            if "event" in answer:
                self._events.append(answer)

    def taken(self, name: str, fits: Callable[[Event], bool] = lambda event: True) -> list[Event]:
        """The events of that name that came before the last answer and that nobody has waited for. They are consumed."""
        found = [event for event in self._events if event["event"] == name and fits(event)]
        for event in found:
            self._events.remove(event)
        return found

    def _receive(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise QmpError("QEMU closed the connection")
        answer: dict[str, Any] = json.loads(line)
        return answer
