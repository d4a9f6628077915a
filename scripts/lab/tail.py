# SPDX-License-Identifier: GPL-2.0-only
"""Finds the end of a stream that has no end of file: its writer sends a token after everything else."""

from __future__ import annotations


class Tail:
    """Passes on what comes before the token, and holds back what may be its beginning."""

    def __init__(self, token: bytes) -> None:
        self._token = token
        self._held = b""
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        data = self._held + data
        end = data.find(self._token)
        if end >= 0:
            self.complete = True
            self._held = b""
            return data[:end]
        keep = min(len(self._token) - 1, len(data))
        while keep and not self._token.startswith(data[-keep:]):
            keep -= 1
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep]
