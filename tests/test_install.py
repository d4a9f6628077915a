# SPDX-License-Identifier: GPL-2.0-only
"""`make install` and `make uninstall` below another root, and what `make dkms-install` puts below DESTDIR."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from built import ROOT
from lab.kernels import kernel
from lab.packages import tool
from trees import FAKE_RELEASE, copy_of_project, fake_kernel, make, program


def mode(file: Path) -> str:
    return f"{file.stat().st_mode & 0o777:o}"


class Install(unittest.TestCase):
    def setUp(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="kvmpv-install-"))
        self.addCleanup(shutil.rmtree, self.root)
        self.kernel = kernel("6.12")

    def make(self, goal: str) -> None:
        # root may have this umask.
        arguments = (goal, f"KDIR={self.kernel.build}", f"INSTALL_MOD_PATH={self.root}")
        done = make(ROOT, *arguments, umask=0o077)
        self.assertEqual(done.returncode, 0, done.stderr)

    def modprobe(self) -> subprocess.CompletedProcess[str]:
        """The file that modprobe would load."""
        return subprocess.run(
            [tool("modprobe"), "-d", str(self.root), "-S", self.kernel.release]
            + ["--show-depends", "kvmpv"],
            capture_output=True,
            text=True,
        )

    def test_modprobe_finds_it_until_it_is_uninstalled(self) -> None:
        folder = self.root / "lib/modules" / self.kernel.release / "updates"
        self.make("install")
        self.assertEqual(self.modprobe().stdout.split(), ["insmod", str(folder / "kvmpv.ko")])
        self.assertEqual([file.name for file in folder.iterdir()], ["kvmpv.ko"])
        for file in (self.root / "lib").rglob("*"):
            with self.subTest(file.name):
                self.assertEqual(mode(file), "755" if file.is_dir() else "644")
        self.make("uninstall")
        self.assertNotEqual(self.modprobe().returncode, 0)
        self.assertEqual(list(folder.iterdir()), [])


class Places(unittest.TestCase):
    """Where the module is installed, and what prevents that, with a kernel that compiles nothing."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kvmpv-install-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.tree = self.folder / "tree"
        copy_of_project(self.tree)
        self.kernel = fake_kernel(self.folder / "kernel")

    def make(
        self, *arguments: str, before: Path | None = None, umask: int = -1
    ) -> subprocess.CompletedProcess[str]:
        return make(self.tree, *arguments, before=before, umask=umask)

    def files_below(self, folder: Path) -> list[str]:
        return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())

    def test_destdir_is_where_a_package_is_put_together(self) -> None:
        for destdir, prefix in (
            ("stage", ""),
            (str(self.folder / "it's a stage"), ""),
            ("another", "/usr"),
        ):
            with self.subTest(destdir):
                where = (f"DESTDIR={destdir}", f"INSTALL_MOD_PATH={prefix}", f"KDIR={self.kernel}")
                done = self.make("install", *where)
                self.assertEqual(done.returncode, 0, done.stderr)
                # No index: a package with one would replace the index of all modules.
                module = f"{prefix}/lib/modules/{FAKE_RELEASE}/updates/kvmpv.ko"[1:]
                self.assertEqual(self.files_below(self.tree / destdir), [module])
                done = self.make("uninstall", *where)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(self.files_below(self.tree / destdir), [])

    def test_destdir_is_where_the_sources_for_dkms_go(self) -> None:
        (self.tree / "src/clock/clock.o").touch()
        stage = self.folder / "it's a stage"
        # As if only their owner may read them.
        subprocess.run(["chmod", "-R", "go=", self.tree], check=True)
        done = self.make("dkms-install", f"DESTDIR={stage}", umask=0o077)
        self.assertEqual(done.returncode, 0, done.stderr)
        stage = stage.rename(self.folder / "stage")
        (sources,) = (stage / "usr/src").iterdir()
        self.assertRegex(sources.name, r"^kvmpv-\d+\.\d+\.\d+$")
        self.assertFalse((sources / "src/clock/clock.o").exists())
        for file in (stage / "usr").rglob("*"):
            with self.subTest(file.name):
                runs = file.is_dir() or file.read_bytes().startswith(b"#!")
                self.assertEqual(mode(file), "755" if runs else "644")
        # They contain all that a build needs.
        done = make(sources, "modules", f"KDIR={self.kernel}")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, f"built build/{FAKE_RELEASE}/kvmpv.ko\n")

        done = self.make("dkms-remove", f"DESTDIR={stage}")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(list((stage / "usr/src").iterdir()), [])

    def test_a_copy_of_dkms_is_not_joined_by_another(self) -> None:
        root = self.folder / "root"
        modules = root / "lib/modules" / FAKE_RELEASE
        for place in ("updates/dkms/kvmpv.ko.xz", "updates/kvmpv.ko.zst", "extra/kvmpv.ko"):
            with self.subTest(place):
                file = modules / place
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
                done = self.make("install", f"INSTALL_MOD_PATH={root}", f"KDIR={self.kernel}")
                file.unlink()
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(f"as {file} already: remove that first", done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1)
                self.assertEqual(self.files_below(root), [])
                self.assertFalse((self.tree / "build").exists())

    def test_headers_for_dkms_are_not_given_by_hand(self) -> None:
        done = self.make("dkms-install", f"KDIR={self.kernel}")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("name the kernel by KVER=, not KDIR=", done.stderr)

    def test_what_root_installs_from_anothers_tree_stays_his(self) -> None:
        programs = self.folder / "programs"
        program(programs, "depmod", "")
        owner = os.getuid()
        if owner == 0:
            owner = 65534
            self.folder.chmod(0o755)
            for file in [self.tree, *self.tree.rglob("*")]:
                os.chown(file, owner, owner)
        else:
            # Only root can become another user. This tests which user that would be.
            program(programs, "id", "echo 0")
            asked = f"--reuid {owner} --regid {os.getgid()} --clear-groups"
            become = f"PATH={os.environ['PATH']}\nshift 5\nexec \"$@\""
            program(
                programs, "setpriv", f'case "$*" in "{asked} "*) ;; *) exit 1 ;; esac\n{become}'
            )
        options = "a 'b'  $$(c)"
        done = self.make(
            "-j2",
            "install",
            f"INSTALL_MOD_PATH={self.folder / 'root'}",
            f"KDIR={self.kernel}",
            f"KCFLAGS={options}",
            before=programs,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        build = self.tree / "build"
        for file in [build, *build.rglob("*")]:
            self.assertEqual(file.lstat().st_uid, owner, file)
        module = self.folder / "root/lib/modules" / FAKE_RELEASE / "updates/kvmpv.ko"
        self.assertEqual(module.read_text(), f"{owner}\n")
        self.assertEqual(module.stat().st_uid, os.getuid())


if __name__ == "__main__":
    unittest.main()
