# SPDX-License-Identifier: GPL-2.0-only
"""What `make` builds, from what, and what it refuses to build.

With kbuild it is easy to lose a compiler's exit status. It is also easy to build with the objects of
another folder, the variables of another project or the options of another kernel.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from built import ROOT
from lab.kernels import kernel
from trees import (
    FAKE_RELEASE,
    copy_of_project,
    copy_with_a_small_module,
    fake_kernel,
    headers_without,
    make,
    program,
)


class Folder(unittest.TestCase):
    """Each test has a folder of its own."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kvmpv-build-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.tree = self.folder / "tree"

    def assert_refused(self, done: subprocess.CompletedProcess[str], sentence: str) -> None:
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(sentence, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertFalse((self.tree / "build").exists(), "something was written")


class Errors(Folder):
    def break_with(self, text: str) -> subprocess.CompletedProcess[str]:
        copy_of_project(self.tree)
        # The very first object, so that nothing else is compiled in vain.
        with (self.tree / "src/module.cc").open("a") as file:
            file.write(text)
        return make(self.tree, "modules", f"KDIR={kernel('6.12').build}")

    def test_an_error_in_cxx_fails_the_build(self) -> None:
        done = self.break_with("\nint not_cxx = ;\n")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("expected primary-expression", done.stderr)
        self.assertNotIn("built", done.stdout)

    def test_cxx_that_needs_a_runtime_fails_the_build(self) -> None:
        done = self.break_with("\nint* needs_a_runtime() { return new int; }\n")
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn("built", done.stdout)


class Sources(Folder):
    def linked(self) -> set[str]:
        build = self.tree / "build" / FAKE_RELEASE
        return {str(file.relative_to(build)) for file in build.rglob("*") if file.is_symlink()}

    def test_only_sources_get_into_a_build(self) -> None:
        copy_of_project(self.tree)
        build = self.tree / "build" / FAKE_RELEASE
        products = ("kvmpv.o", "kvmpv.mod.c", "kvmpv.mod.o", "kvmpv.ko", "src/clock/clock.o")
        products += ("src/clock/.clock.o.cmd", "src/clock/.clock.o.d")
        products += ("src/linux/log.o", "tests/modules/probe.o")
        for name in products:
            (self.tree / name).touch()
        # An object that an earlier version linked, and a source that is gone.
        for room in ("clock", "steal"):
            (build / "src" / room).mkdir(parents=True)
        for name in ("src/clock/clock.o", "src/clock/.clock.o.cmd", "src/gone.cc"):
            (build / name).symlink_to(self.tree / name)
        # Files of this build itself.
        (build / "src/steal/steal.o").write_text("built here")

        done = make(self.tree, "modules", f"KDIR={fake_kernel(self.folder / 'kernel')}")
        self.assertEqual(done.returncode, 0, done.stderr)
        suffixes = {".c", ".cc", ".h", ".hh", ".mk"}
        wanted = {
            str(file.relative_to(ROOT))
            for folder in ("include", "src", "kunit", "bench", "tests/modules")
            for file in (ROOT / folder).rglob("*")
            if file.suffix in suffixes
        }
        wanted |= {"Kbuild", "scripts/cxx.mk", "scripts/check-cxx-object"}
        self.assertEqual(self.linked(), wanted)
        for name in wanted:
            self.assertTrue((build / name).samefile(self.tree / name), name)
        self.assertEqual((build / "src/steal/steal.o").read_text(), "built here")

    def test_a_build_by_hand_stays_out_of_that_for_another_kernel(self) -> None:
        # The folder's name has every character that kbuild can bear. The environment is set for another project.
        self.tree = self.folder / "tree+@~^!-é"
        copy_with_a_small_module(self.tree)
        old, new = kernel("6.1"), kernel("6.12")
        by_hand = make(self.folder, "-C", str(old.build), f"M={self.tree}", "modules")
        self.assertEqual(by_hand.returncode, 0, by_hand.stderr)
        products = {file: file.stat().st_mtime_ns for file in self.tree.rglob("*.o")}
        self.assertIn(self.tree / "src/entry.o", products)

        done = make(
            self.tree,
            "modules",
            f"KDIR={new.build}",
            KBUILD_OUTPUT="/nonexistent",
            O="/nonexistent",
            ARCH="arm64",
            CROSS_COMPILE="aarch64-linux-gnu-",
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        built = (self.tree / "build" / new.release / "kvmpv.ko").read_bytes()
        self.assertIn(f"headers of {new.release}".encode(), built)
        self.assertNotIn(old.release.encode(), built)
        self.assertEqual(products, {file: file.stat().st_mtime_ns for file in products})


class Refusals(Folder):
    """What stops a build, with a kernel that compiles nothing."""

    def setUp(self) -> None:
        super().setUp()
        copy_of_project(self.tree)
        self.kernel = fake_kernel(self.folder / "kernel")

    def make(
        self, *arguments: str, before: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return make(
            self.tree, "modules", f"KDIR={self.kernel}", *arguments, before=before, **environment
        )

    def seen_by_kbuild(self, file: str) -> list[str]:
        return (self.tree / "build" / FAKE_RELEASE / file).read_text().splitlines()

    def test_variables_of_another_project_are_not_passed_on(self) -> None:
        strange = {"KBUILD_OUTPUT": "/x", "O": "/x", "MO": "/x", "KBUILD_EXTMOD_OUTPUT": "/x"}
        done = self.make(**strange, ARCH="arm64", CROSS_COMPILE="aarch64-linux-gnu-")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.seen_by_kbuild("variables"), ["O= ARCH=x86"])
        names = {line.split("=")[0] for line in self.seen_by_kbuild("environment")}
        self.assertEqual(names & {*strange, "CROSS_COMPILE"}, set())

    def test_a_cross_compiler_for_x86_is_passed_on(self) -> None:
        done = self.make(ARCH="x86_64", CROSS_COMPILE="x86_64-linux-gnu-")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("CROSS_COMPILE=x86_64-linux-gnu-", self.seen_by_kbuild("environment"))

    def test_a_folder_for_kbuild_is_refused(self) -> None:
        for name in ("O", "KBUILD_OUTPUT", "MO", "KBUILD_EXTMOD", "KBUILD_EXTMOD_OUTPUT"):
            with self.subTest(name):
                self.assert_refused(self.make(f"{name}=/x"), f"{name}= is kbuild's")

    def test_another_architecture_is_refused(self) -> None:
        self.assert_refused(self.make("ARCH=arm64"), "ARCH=arm64: kvmpv is for x86-64 only")
        self.assertEqual(self.make("ARCH=x86_64").returncode, 0)

    def test_a_path_that_kbuild_cannot_take_is_refused(self) -> None:
        plain = self.tree
        for odd in (" ", ":", "'", '"', ",", "=", "%", "#", "$", "&", "(", "\t"):
            with self.subTest("tree", odd=odd):
                folder = plain.rename(self.folder / f"a{odd}b")
                done = make(folder, "modules", f"KDIR={self.kernel}")
                folder.rename(plain)
                self.assert_refused(done, f"kbuild cannot build in a folder of this name: {folder}")
        for odd in (" ", ":", "'", ","):
            with self.subTest("kernel", odd=odd):
                folder = fake_kernel(self.folder / f"kernel{odd}b")
                done = make(self.tree, "modules", f"KDIR={folder}")
                sentence = f"kbuild cannot build with a folder of this name: {folder}"
                self.assert_refused(done, sentence)

    def test_a_kernel_that_lacks_an_option_is_refused(self) -> None:
        for option in ("CONFIG_X86_64", "CONFIG_SMP", "CONFIG_CC_IS_GCC"):
            with self.subTest(option):
                self.kernel = fake_kernel(self.folder / option, without=option)
                sentence = f"cannot run on kernel {FAKE_RELEASE}, which was built without {option}"
                self.assert_refused(self.make(), sentence)

    def test_a_folder_without_links_or_locks_is_refused(self) -> None:
        programs = self.folder / "programs"
        reasons = {"ln": "cannot hold symbolic links", "flock": "cannot be locked"}
        for name, reason in reasons.items():
            with self.subTest(name):
                # ln fails like this on vfat, and flock on NFS.
                program(programs, name, f"echo '{name}: it failed' >&2; exit 71")
                done = self.make(before=programs)
                (programs / name).unlink()
                sentence = f"build/{FAKE_RELEASE} {reason}: build in a copy of the tree"
                self.assertNotEqual(done.returncode, 0)
                self.assertEqual(done.stderr.splitlines()[0][: len(sentence)], sentence)
                # The second line is make's own.
                self.assertEqual(len(done.stderr.splitlines()), 2, done.stderr)
                self.assertFalse((self.tree / "build").exists(), "something was written")

    def test_a_folder_of_anothers_is_refused(self) -> None:
        build = self.tree / "build" / FAKE_RELEASE
        build.mkdir(parents=True)
        build.chmod(0o555)
        self.folder.chmod(0o755)
        nobody = ["setpriv", "--reuid", "65534", "--clear-groups"] if os.getuid() == 0 else []
        done = subprocess.run(
            [*nobody, "scripts/build-folder", f"build/{FAKE_RELEASE}"],
            cwd=self.tree,
            capture_output=True,
            text=True,
        )
        self.assertNotEqual(done.returncode, 0)
        owner = pwd.getpwuid(os.getuid()).pw_name
        self.assertEqual(done.stderr, f"build/{FAKE_RELEASE} is {owner}'s: remove it first\n")

    def test_a_second_build_waits_for_the_first(self) -> None:
        self.assertEqual(self.make().returncode, 0)
        lock = self.tree / "build" / FAKE_RELEASE / ".lock"
        # The first build holds the lock and releases it when the second one is about to wait for it.
        programs = self.folder / "programs"
        flock = shutil.which("flock")
        program(programs, "flock", f'[ "$1" = -n ] || echo "$@" >&3; exec {flock} "$@"')
        holder = subprocess.Popen(
            [str(flock), str(lock), "sh", "-c", "echo held; read line; echo let go"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert holder.stdin is not None and holder.stdout is not None
        self.assertEqual(holder.stdout.readline(), "held\n")
        pipe = self.folder / "pipe"
        subprocess.run(["mkfifo", pipe], check=True)
        second = subprocess.Popen(
            ["sh", "-c", f"exec make modules KDIR={self.kernel} 3>{pipe}"],
            cwd=self.tree,
            env={"PATH": f"{programs}:/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            text=True,
        )
        with pipe.open() as asked:
            self.assertIn(f"build/{FAKE_RELEASE}/.lock", asked.readline())
        self.assertIsNone(second.poll())
        holder.communicate("\n")
        self.assertEqual(second.communicate()[0], f"built build/{FAKE_RELEASE}/kvmpv.ko\n")

    def test_many_builds_at_once(self) -> None:
        """Guests of a test run start builds like this: each checks that its module is up to date."""
        command = ["make", "modules", f"KDIR={self.kernel}"]
        for _ in range(5):
            builds = [
                subprocess.Popen(
                    command,
                    cwd=self.tree,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                for _ in range(8)
            ]
            said = [build.communicate()[1] for build in builds]
            self.assertEqual([build.returncode for build in builds], [0] * 8, "".join(said))


class Compiler(Folder):
    def ask(self, compiler: str, before: Path | None = None) -> subprocess.CompletedProcess[str]:
        """The C++ compiler that scripts/cxx.mk chooses for this gcc."""
        (self.folder / "Makefile").write_text(
            f"CC := {compiler}\nsrc := {ROOT}\nobj := .\ninclude {ROOT}/scripts/cxx.mk\n"
            ".DEFAULT_GOAL := ask\nask: ; @echo '$(CXX_KERNEL)'\n"
        )
        return make(self.folder, "--no-print-directory", before=before)

    def test_only_the_name_of_the_program_changes(self) -> None:
        programs = self.folder / "gcc-x" / "bin"
        programs.parent.mkdir()
        for name in ("g++", "g++-14", "x86_64-linux-gnu-g++-12", "ccache"):
            program(programs, name, "")
        for given, wanted in (
            ("gcc", "g++"),
            (" x86_64-linux-gnu-gcc-12", "x86_64-linux-gnu-g++-12"),
            ("ccache  gcc-14", "ccache g++-14"),
            (f"{programs}/gcc", f"{programs}/g++"),
            (f"{programs}/ccache {programs}/gcc-14", f"{programs}/ccache {programs}/g++-14"),
            (f"gcc-14 -B{programs}/gcc", f"g++-14 -B{programs}/gcc"),
        ):
            with self.subTest(given):
                done = self.ask(given, before=programs)
                self.assertEqual(done.stdout, f"{wanted}\n", done.stderr)

    def test_who_lacks_it_is_told_which(self) -> None:
        for given, name, package in (
            ("gcc-77", "g++-77", "g++-77"),
            (" x86_64-linux-gnu-gcc-77", "x86_64-linux-gnu-g++-77", "g++-77"),
            ("ccache gcc-77", "g++-77", "g++-77"),
            ("/opt/gcc-77/bin/gcc", "/opt/gcc-77/bin/g++", "g++"),
        ):
            with self.subTest(given):
                done = self.ask(given)
                sentence = f'no C++ compiler "{name}": install the package {package}'
                self.assertRegex(done.stderr, re.escape(sentence) + r"\.  Stop\.$")

    def test_another_compiler_than_gcc_is_refused(self) -> None:
        self.assertIn('this kernel\'s compiler is "clang"', self.ask("clang").stderr)

    def test_make_asks_for_no_other_than_the_kernels(self) -> None:
        """On a machine that has only the kernel's g++."""
        copy_of_project(self.tree)
        programs = self.folder / "programs"
        programs.mkdir()
        for folder in ("/bin", "/usr/bin"):
            for file in Path(folder).iterdir():
                if "g++" not in file.name and not (programs / file.name).exists():
                    (programs / file.name).symlink_to(file)
        done = subprocess.run(
            ["make", "modules", f"KDIR={fake_kernel(self.folder / 'kernel')}"],
            cwd=self.tree,
            env={"PATH": str(programs)},
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stderr)


class Parts(Folder):
    def test_it_builds_without_what_it_can_do_without(self) -> None:
        found = kernel("6.12")
        config = (found.build / ".config").read_text() if found.build else ""
        options = {"KVM_GUEST", "PARAVIRT_CLOCK", "HPET_TIMER", "HPET_EMULATE_RTC", "RTC_CLASS"}
        cgroups = r"^CONFIG_((?:CGROUP|MEMCG|CPUSET|BLK_CGROUP|SOCK_CGROUP)\w*)="
        options |= set(re.findall(cgroups, config, re.MULTILINE))
        options |= {"FAIR_GROUP_SCHED", "CFS_BANDWIDTH", "SCHED_AUTOGROUP", "DEBUG_FS"}
        symbols = ["hv_clock_per_cpu", "pvclock", "cgroup", "hpet", "rtc_", "debugfs"]
        headers = headers_without(found, self.folder / "headers", options, symbols)
        copy_of_project(self.tree)
        arguments = (f"KDIR={headers}", "KVMPV_TESTS=0", "KVMPV_WERROR=1")
        # modpost is content, too, because the called function exists.
        done = make(self.tree, "modules", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, f"built build/{found.release}/kvmpv.ko\n")
        self.assertEqual(done.stderr, "")

    def test_a_kernel_for_one_cpu_is_refused_by_the_sources_too(self) -> None:
        headers = headers_without(kernel("6.12"), self.folder / "headers", {"SMP"}, [])
        copy_of_project(self.tree)
        done = make(
            self.folder, "-C", str(headers), f"M={self.tree}", "KVMPV_TESTS=0", "src/linux/cpus.o"
        )
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("kvmpv needs CONFIG_SMP", done.stderr)


if __name__ == "__main__":
    unittest.main()
