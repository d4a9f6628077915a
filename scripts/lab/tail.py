# SPDX-License-Identifier: GPL-2.0-only
"""Where does a stream end that has no end? At a token that its writer puts behind everything else."""

from __future__ import annotations


class Tail:
    """Passes on what comes before the token, and holds back what may be the beginning of it."""

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
