# SPDX-License-Identifier: GPL-2.0-only
"""A throw-away feature is added by the steps of CONTRIBUTING.md, built and removed: which files does a feature touch?"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from built import ROOT
from lab.kernels import kernel
from trees import copy_of_project

LICENCE = "// SPDX-License-Identifier: GPL-2.0-only\n"

ROOM = {
    "src/example/example.hh": """
// A throw-away feature: it counts how often it is shown.

#pragma once

#include "boundary.h"
#include "kvmpv/result.hh"

namespace kvmpv::example {

Result<void> start(const kvmpv_parameters& parameters);
void stop();

// How often it was asked since start(), this time included. Any context.
u64 count();

}  // namespace kvmpv::example
""",
    "src/example/example.cc": """
#include "example/example.hh"

namespace kvmpv::example {

namespace {

constinit u64 asked = 0;

}  // namespace

Result<void> start(const kvmpv_parameters&) {
    __atomic_store_n(&asked, 0, __ATOMIC_RELAXED);
    return {};
}

void stop() {}

u64 count() { return __atomic_add_fetch(&asked, 1, __ATOMIC_RELAXED); }

}  // namespace kvmpv::example
""",
    "src/example/views.hh": """
#pragma once

#include <span>

#include "boundary.h"

namespace kvmpv {

std::span<const kvmpv_file> example_files();

}  // namespace kvmpv
""",
    "src/example/views.cc": """
#include "example/views.hh"

#include "base/view.hh"
#include "example/example.hh"

namespace kvmpv {

namespace {

void show_example(void* seq) {
    Out out = begin_view(seq);
    (out << "asked " << example::count()).end_line();
}

constexpr kvmpv_file kFiles[] = {{"", "example", show_example, nullptr}};

}  // namespace

std::span<const kvmpv_file> example_files() { return kFiles; }

}  // namespace kvmpv
""",
}

# What is changed: a file, a text in it, and what is put before that.
CHANGES = (
    (
        "src/features.cc",
        '#include "files/views.hh"\n',
        '#include "example/example.hh"\n#include "example/views.hh"\n',
    ),
    (
        "src/features.cc",
        '    {.name = "all together"',
        '    {.name = "example", .start = example::start, .stop = example::stop, .files = example_files},\n',
    ),
    (
        "Kbuild",
        "kvmpv-core += $(addprefix src/events/, events.o views.o)",
        "kvmpv-core += src/example/example.o src/example/views.o\n",
    ),
)


class NewFeature(unittest.TestCase):
    def setUp(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="kvmpv-feature-"))
        self.addCleanup(shutil.rmtree, folder)
        self.tree = folder / "tree"
        copy_of_project(self.tree)

    def add(self) -> None:
        for name, text in ROOM.items():
            (self.tree / name).parent.mkdir(exist_ok=True)
            (self.tree / name).write_text(LICENCE + text.lstrip("\n"))
        for name, before, added in CHANGES:
            text = (self.tree / name).read_text()
            self.assertEqual(text.count(before), 1, f"{name}: {before}")
            (self.tree / name).write_text(text.replace(before, added + before))

    def touched(self) -> set[str]:
        """The files of the tree that are not as in the project."""
        files = {file.relative_to(self.tree) for file in self.tree.rglob("*") if file.is_file()}
        return {
            str(file)
            for file in files
            if file.parts[0] != "build"
            and (
                not (ROOT / file).exists()
                or (ROOT / file).read_bytes() != (self.tree / file).read_bytes()
            )
        }

    def test_a_feature_is_a_folder_a_row_and_a_list(self) -> None:
        self.add()
        self.assertEqual(self.touched(), {*ROOM, "src/features.cc", "Kbuild"})
        found = kernel("6.12")
        done = subprocess.run(
            ["make", "-j2", "modules", f"KDIR={found.build}", "KVMPV_WERROR=1", "KVMPV_TESTS=0"],
            cwd=self.tree,
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        module = self.tree / f"build/{found.release}/kvmpv.ko"
        names = subprocess.run(
            ["nm", "-C", module], check=True, capture_output=True, text=True
        ).stdout
        self.assertIn("kvmpv::example::start", names)

        shutil.rmtree(self.tree / "src/example")
        for name, _, added in CHANGES:
            text = (self.tree / name).read_text()
            (self.tree / name).write_text(text.replace(added, ""))
        self.assertEqual(self.touched(), set())


if __name__ == "__main__":
    unittest.main()
