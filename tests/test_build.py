# SPDX-License-Identifier: GPL-2.0-only
"""The build fails where it has to: kbuild's rules make it easy to lose a compiler's exit status."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from built import ROOT
from lab.kernels import kernel

SOURCES = ("Makefile", "Kbuild", "include", "src", "kunit", "bench", "scripts")


class Build(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kvmpv-build-"))
        self.addCleanup(shutil.rmtree, self.folder)
        for name in SOURCES:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, self.folder / name)
            else:
                shutil.copy(source, self.folder / name)

    def make(
        self, *variables: str, headers: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", "modules", f"KDIR={headers or kernel('6.12').build}", *variables],
            cwd=self.folder,
            capture_output=True,
            text=True,
        )

    def headers_without(self, option: str) -> Path:
        """The headers of 6.12, as of a kernel that was built without this option."""
        real = kernel("6.12").build
        assert real is not None
        root = self.folder / "usr"
        (root / "src").mkdir(parents=True)
        (root / "lib").symlink_to(real.parents[1] / "lib")
        for folder in real.parent.iterdir():
            (root / "src" / folder.name).symlink_to(folder)
        headers = root / "src" / real.name
        headers.unlink()
        shutil.copytree(real, headers, symlinks=True)
        for name in ("include/config/auto.conf", "include/generated/autoconf.h"):
            file = headers / name
            lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if not re.search(rf"\b{option}\b", line)]
            self.assertEqual(len(lines) - len(kept), 1)
            file.unlink()
            file.write_text("".join(kept), encoding="utf-8")
        return headers

    def break_with(self, text: str) -> None:
        # The first object of all, so that nothing else is compiled in vain.
        with (self.folder / "src/clock.cc").open("a") as file:
            file.write(text)

    def test_an_error_in_cxx_fails_the_build(self) -> None:
        self.break_with("\nint not_cxx = ;\n")
        done = self.make()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("expected primary-expression", done.stderr)
        self.assertNotIn("built", done.stdout)

    def test_cxx_that_needs_a_runtime_fails_the_build(self) -> None:
        self.break_with("\nint* needs_a_runtime() { return new int; }\n")
        done = self.make()
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn("built", done.stdout)

    def test_a_kernel_without_debugfs(self) -> None:
        headers = self.headers_without("CONFIG_DEBUG_FS")
        done = self.make("KVMPV_WERROR=1", "KVMPV_TESTS=0", headers=headers)
        self.assertEqual(done.returncode, 0, done.stderr)
        (module,) = (self.folder / "build").glob("*/kvmpv.ko")
        needed = subprocess.run(["nm", "-u", module], capture_output=True, text=True, check=True)
        self.assertIn("clocksource_unregister", needed.stdout)
        self.assertNotIn("debugfs", needed.stdout)


if __name__ == "__main__":
    unittest.main()
