# SPDX-License-Identifier: GPL-2.0-only
"""The protocol between the machine and the KVM host.

They share one stream of bytes: a virtio port if the host is nested, a socket if the host is the machine itself. The stream
consists of frames: a kind (1 byte), the length of the content (4 bytes, little-endian), and the content.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

HEADER = struct.Struct("<cI")

# From the KVM host to the machine.
CONSOLE = b"c"  # what the guest wrote to its serial console
OUTPUT = b"o"  # COMMAND's stdout
ERRORS = b"e"  # COMMAND's stderr
LOG = b"l"  # the guest's kernel log, read at the end
TERMINAL = b"t"  # output of the interactive shell
BESIDE = b"b"  # what the host script prints
NOTE = b"n"  # its progress: one of the NOTES below
RESULT = b"r"  # JSON, the last frame of every run

# From the machine to the KVM host.
JOB = b"j"  # JSON, the first frame
KEYS = b"k"  # typed at the interactive shell
TICK = b"h"  # a nested host needs one several times a second; on_host.py says why
WHERE = b"s"  # both ways, when the time is up: where does the guest stand? standstill.py says what comes back
CLOCKS = b"w"  # both ways, before the job: what time is it? nested.py says what comes back

READY = b"ready"  # the KVM host waits for its job
STARTED = b"started"  # the guest's QEMU runs
BEGIN = b"begin"  # COMMAND begins


class Link:
    """One end of the stream."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = bytearray()
        self.open = True

    def fileno(self) -> int:
        return self._descriptor

    def send(self, kind: bytes, rest: bytes) -> None:
        data = memoryview(HEADER.pack(kind, len(rest)) + rest)
        while data:
            data = data[os.write(self._descriptor, data) :]

    def receive(self) -> Iterator[tuple[bytes, bytes]]:
        """Read once, and return the frames that are complete. `open` becomes false at the end of the stream."""
        try:
            chunk = os.read(self._descriptor, 1 << 18)
        except ConnectionResetError:  # the other end was killed with unread data
            chunk = b""
        self.open = bool(chunk)
        self._buffer += chunk
        while len(self._buffer) >= HEADER.size:
            kind, length = HEADER.unpack_from(self._buffer)
            end = HEADER.size + length
            if len(self._buffer) < end:
                break
            rest = bytes(self._buffer[HEADER.size : end])
            del self._buffer[:end]
            yield kind, rest
