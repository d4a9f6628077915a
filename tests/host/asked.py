# SPDX-License-Identifier: GPL-2.0-only
"""Requests of the guest to the host script. The guest prints `host: VERB ARGUMENT...` and waits for one line of answer."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from lab.beside import wait_for_growth


def requests() -> Iterator[list[str]]:
    """The guest's requests as they come. scripts/guest ends this script with the guest."""
    with open(os.environ["KVMPV_OUTPUT"], encoding="utf-8", errors="replace") as file:
        line = ""
        while True:
            line += file.readline()
            if line.endswith("\n"):
                if line.startswith("host: "):
                    yield line.split()[1:]
                line = ""
            else:
                wait_for_growth()


def reply(verb: str, arguments: Sequence[str], answer: str) -> None:
    print(f"{verb} {' '.join(arguments)}: {answer}", flush=True)
    with open(os.environ["KVMPV_SAY"], "w", encoding="ascii") as say:
        say.write(f"{answer}\n")
