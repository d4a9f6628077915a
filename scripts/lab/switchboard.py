# SPDX-License-Identifier: GPL-2.0-only
"""The KVM host's end of the guest's channels. It listens on one unix socket per channel, for any QEMU that runs the guest."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable, Iterable

Receiver = Callable[[str, bytes], None]


class Switchboard:
    """While a guest migrates to a second QEMU, each channel has two connections."""

    def __init__(
        self,
        work: str,
        names: Iterable[str],
        selector: selectors.BaseSelector,
        receive: Receiver,
    ) -> None:
        self._selector = selector
        self._receive = receive
        self._connections: dict[str, list[socket.socket]] = {}
        for name in names:
            self._connections[name] = []
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(f"{work}/{name}")
            listener.listen()
            self._watch(name, listener, self._accept)

    def connected(self) -> bool:
        return any(self._connections.values())

    def say(self, name: str, data: bytes) -> None:
        """Send to the QEMU that connected last, which has the guest or will have it."""
        if self._connections[name]:
            self._connections[name][-1].sendall(data)

    def _watch(
        self, name: str, one: socket.socket, act: Callable[[str, socket.socket], None]
    ) -> None:
        self._selector.register(one, selectors.EVENT_READ, lambda: act(name, one))

    def _accept(self, name: str, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        self._connections[name].append(connection)
        self._watch(name, connection, self._read)

    def _read(self, name: str, connection: socket.socket) -> None:
        try:
            data = connection.recv(1 << 16)
        except ConnectionResetError:  # that QEMU was killed
            data = b""
        if data:
            self._receive(name, data)
        else:
            self._selector.unregister(connection)
            self._connections[name].remove(connection)
            connection.close()
