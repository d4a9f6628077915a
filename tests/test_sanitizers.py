# SPDX-License-Identifier: GPL-2.0-only
"""The module builds for a kernel with a sanitizer, which adds constructors to each object and instruments the C++."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from built import ROOT
from lab.kernels import kernel
from trees import copy_of_project

KASAN = (
    "CONFIG_KASAN=y",
    "CONFIG_KASAN_GENERIC=y",
    "CONFIG_KASAN_INLINE=y",
    "CONFIG_KASAN_STACK=y",
    "CONFIG_KASAN_SHADOW_OFFSET=0xdffffc0000000000",
)
KCSAN = ("CONFIG_KCSAN=y",)
CALLS = {KASAN: r"__asan_(report_)?(load|store)", KCSAN: r"__tsan_(read|write|volatile|atomic)"}

# Kbuild excludes these from KCSAN. eoi_callback accesses memory by inline assembly only, which no sanitizer sees.
UNWATCHED = ("clock/clock_read", "eoi/eoi_callback", "steal/steal_clock")
NOTHING_TO_SEE = ("eoi/eoi_callback",)


class Sanitizers(unittest.TestCase):
    """C++ objects as built for a kernel with a sanitizer. kbuild reads the options from the headers' auto.conf,
    so the headers of a stock kernel with the options added do. The debug kernel really has KASAN.
    """

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kvmpv-build-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.tree = self.folder / "tree"
        copy_of_project(self.tree)

    def headers(self, name: str, options: tuple[str, ...]) -> Path:
        """A copy of this kernel's build folder, as if the kernel had these options."""
        build = kernel(name).build
        assert build is not None
        # Debian's headers consist of several folders, which refer to each other by relative links.
        usr = build.parent.parent
        copy = self.folder / f"usr-{name}-{options[0]}"
        if not copy.exists():
            subprocess.run(["cp", "-rs", usr, copy], check=True)
            config = copy / build.relative_to(usr) / "include/config/auto.conf"
            text = config.read_text()
            config.unlink()
            config.write_text(text + "".join(f"{option}\n" for option in options))
        return copy / build.relative_to(usr)

    def make(
        self, name: str, options: tuple[str, ...], *objects: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", "-j2", "-C", self.headers(name, options), f"M={self.tree}"]
            + ["KVMPV_WERROR=1", *(f"src/{stem}.o" for stem in objects)],
            capture_output=True,
            text=True,
        )

    def calls(self, stem: str, pattern: str) -> list[str]:
        found = subprocess.run(
            ["nm", "-u", self.tree / f"src/{stem}.o"], check=True, capture_output=True, text=True
        ).stdout
        return re.findall(rf"\b{pattern}\w*", found)

    def watched(self, options: tuple[str, ...], stem: str) -> bool:
        return stem not in (UNWATCHED if options is KCSAN else NOTHING_TO_SEE)

    def check(self, name: str, options: tuple[str, ...], *objects: str) -> None:
        done = self.make(name, options, *objects)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for stem in objects:
            with self.subTest(kernel=name, options=options, object=stem):
                self.assertEqual(
                    bool(self.calls(stem, CALLS[options])), self.watched(options, stem)
                )

    def test_every_cxx_object_is_watched_by_kcsan(self) -> None:
        sources = (ROOT / "src").rglob("*.cc")
        objects = sorted(str(s.relative_to(ROOT / "src").with_suffix("")) for s in sources)
        self.assertLessEqual(set(UNWATCHED), set(objects))
        self.check("6.12", KCSAN, *objects)

    def test_both_sanitizers_are_let_in_by_both_kernels(self) -> None:
        for options in (KASAN, KCSAN):
            for name in ("6.1", "6.12"):
                self.check(name, options, "clock/clock", *UNWATCHED)

    def test_a_constructor_of_our_own_is_refused_beside_a_sanitizers(self) -> None:
        with (self.tree / "src/clock/clock.cc").open("a") as file:
            file.write("\nstruct Late { Late(); int value; };\nLate needs_a_runtime;\n")
        for options in (KASAN, KCSAN):
            with self.subTest(options=options):
                done = self.make("6.12", options, "clock/clock")
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("clock.o: needs a C++ runtime", done.stderr)
                self.assertIn(".init_array", done.stderr)
                self.assertFalse((self.tree / "src/clock/clock.o").exists())


if __name__ == "__main__":
    unittest.main()
