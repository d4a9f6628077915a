# SPDX-License-Identifier: GPL-2.0-only
"""Memory that is shared with the host, where the guest's memory is encrypted and the sharing fails: src/linux/pages.c,
compiled for user space. No guest here has encrypted memory.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from built import ROOT

SOURCES = ("src/linux/pages.c", "src/boundary.h")


def kernel_headers() -> set[str]:
    text = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in SOURCES)
    return set(re.findall(r"^#include <((?:linux|asm)/\S+)>", text, re.MULTILINE))


class EncryptedPages(unittest.TestCase):
    def test_each_failure_is_taken_back_or_the_memory_is_never_freed(self) -> None:
        with tempfile.TemporaryDirectory(prefix="kvmpv-pages-") as folder:
            # kernel_pages.h stands for all of them.
            for name in kernel_headers():
                header = Path(folder) / name
                header.parent.mkdir(exist_ok=True)
                header.touch()
            program = Path(folder) / "encrypted_pages"
            compiler = ["gcc-12", "-O1", "-Wall", "-Werror", "-fsanitize=undefined"]
            headers = ["-I", folder, "-include", "tests/kernel_pages.h"]
            source = "tests/encrypted_pages.c"
            subprocess.run([*compiler, *headers, "-o", program, source], cwd=ROOT, check=True)
            done = subprocess.run([program], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""))


if __name__ == "__main__":
    unittest.main()
