#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The guest starts another kernel by kexec, and that one resets the machine, both while timekeeping uses kvmpv in owned
mode (nopv).

After kexec only the module can have stopped the host from writing to the old memory. The new kernel reserves that memory,
and what the canaries in it say must stay. Each of the three kernels is a subtest.
"""

from __future__ import annotations

from canaries import PAGE, record_pages
from records import GuestMemory
from talk import DEBUG, Failed, Talk, equal, within

# The root as it was at the start, without what is mounted on it.
PACK_ROOT = (
    "mkdir /tmp/root && mount -o bind / /tmp/root && (cd /tmp/root &&"
    " find . ! -path ./tests/kernel | cpio -o -H newc) > /tmp/root.cpio"
)
CANARY = b"Z" * PAGE


def loads_and_moves_to_it(talk: Talk) -> None:
    talk.ask("load")
    equal("mode", talk.ask("mode clock"), talk.mode)
    equal("current", talk.ask("current_clocksource"), "kvmpv")


class Canaries:
    """The pages of the first kernel's records, which nothing uses any more. They are written and read from the host."""

    def __init__(self, talk: Talk, pages: list[int]) -> None:
        self._talk = talk
        self._memory = GuestMemory(talk.beside.pid)
        self._pages = pages

    def reservations(self) -> list[str]:
        return [f"memmap=4K${page:#x}" for page in self._pages]

    def are_reserved(self) -> None:
        words = self._talk.ask("cat /proc/cmdline").split()
        equal("reserved", [word for word in words if "memmap" in word], self.reservations())

    def fill(self) -> None:
        for page in self._pages:
            self._memory.write(page, CANARY)

    def live(self) -> None:
        for page in self._pages:
            if self._memory.read(page, PAGE) != CANARY:
                raise Failed(f"somebody has written to the page at {page:#x}")

    def survive_a_stop(self) -> None:
        """When the host continues the guest it writes every registered record."""
        self._talk.stop(1)
        # It writes a vCPU's when it runs that one.
        self._talk.ask("taskset 1 true && taskset 2 true")
        self.live()


def slots_are_free(talk: Talk) -> None:
    for slot in ("0x4b564d01", "0x4b564d03", "0x4b564d04"):
        equal(f"slot {slot}", talk.ask(f"rdmsr -a -c {slot} | sort -u"), "0x0")


def main() -> None:
    talk = Talk()
    talk.let_reboot()
    talk.ask("remember")
    talk.check(loads_and_moves_to_it, talk, name="loads")
    canaries = Canaries(talk, record_pages(talk))
    talk.check(within, "pages", len(canaries.reservations()), 3, 4, name="has_pages")
    talk.check(PACK_ROOT, name="packs_root")
    talk.subtest("first_kernel")
    reserved = " ".join(canaries.reservations()).replace("$", r"\$")
    talk.restart(f'/tests/kexec /tests/kernel /tmp/root.cpio "$(cat /proc/cmdline) {reserved}"')

    talk.check(slots_are_free, talk)
    talk.check(canaries.are_reserved, name="pages_are_reserved")
    talk.check(canaries.fill, name="fills_canaries")
    talk.check(canaries.live, name="canaries_live_at_first")
    talk.check(canaries.survive_a_stop, name="canaries_survive_a_stop")
    talk.ask("remember")
    talk.check(loads_and_moves_to_it, talk, name="loads")
    talk.check(canaries.survive_a_stop, name="canaries_survive_the_module")
    talk.subtest("after_kexec")
    talk.restart("reboot -f")

    # Some machines have to be told several times. Says how often.
    talk.check(lambda: within("resets", talk.let_reboot(), 1, 100), name="was_reset")
    talk.ask("remember")
    talk.check(loads_and_moves_to_it, talk, name="loads")
    talk.check("rises_by_a_second", name="now_rises")
    talk.ask(f"echo 1 > {DEBUG}/clock/release")
    talk.check("unload", name="unloads")
    talk.check("undone", name="everything_is_undone")
    talk.subtest("after_reset")
    talk.finish()


if __name__ == "__main__":
    main()
