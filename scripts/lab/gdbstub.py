# SPDX-License-Identifier: GPL-2.0-only
"""Reads and writes a guest's physical memory through QEMU's gdb stub, unnoticed by the guest's kernel.

QEMU stops the guest when somebody connects to the stub. close() lets it run again.
"""

from __future__ import annotations

import socket

PIECE = 1024  # bytes in one packet; QEMU takes 4096 characters


class GdbStub:
    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._buffer = b""
        self._ask("Qqemu.PhyMemMode:1", "OK")

    def close(self) -> None:
        self._ask("D", "OK")  # detach
        self._socket.close()

    def read(self, address: int, length: int) -> bytes:
        data = b""
        while len(data) < length:
            piece = min(PIECE, length - len(data))
            data += bytes.fromhex(self._ask(f"m{address + len(data):x},{piece:x}"))
        return data

    def write(self, address: int, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            self._ask(f"M{address + start:x},{len(piece):x}:{piece.hex()}", "OK")

    def _ask(self, text: str, expected: str | None = None) -> str:
        packet = text.encode()
        self._socket.sendall(b"$%s#%02x" % (packet, sum(packet) % 256))
        answer = self._answer()
        if answer != expected if expected is not None else answer.startswith("E"):
            raise OSError(f"the gdb stub answered {answer!r} to {text[:40]!r}")
        return answer

    def _answer(self) -> str:
        """The next packet. Skips the acknowledgements and stop replies before it."""
        while True:
            end = self._buffer.find(b"#")
            if end < 0 or len(self._buffer) < end + 3:
                chunk = self._socket.recv(1 << 16)
                if not chunk:
                    raise OSError("QEMU closed the connection to its gdb stub")
                self._buffer += chunk
                continue
            packet = self._buffer[self._buffer.index(b"$") + 1 : end].decode()
            self._buffer = self._buffer[end + 3 :]
            self._socket.sendall(b"+")
            if not packet.startswith(("T", "S")):
                return packet
