#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The tests that run on the bare machine, as root. Prints one line of JSON for each result.

usage: bare_inside.py [--all] - with --all also those that only `make check-all` runs
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = Path("/usr/bin/python3")

# Folders of what init, cron, D-Bus and a desktop start automatically.
STARTED = (
    "/etc/systemd/system",
    "/usr/lib/systemd/system",
    "/etc/init.d",
    *(f"/etc/rc{level}.d" for level in "S0123456"),
    *(f"/etc/cron.{often}" for often in ("d", "hourly", "daily", "weekly", "monthly")),
    "/usr/share/dbus-1/system-services",
    "/etc/xdg/autostart",
)
# kmod's script loads the modules of /etc/modules at boot and ends. man-db, which debhelper needs, indexes the manual
# once a day and ends.
NO_SERVICES = {
    "/etc/init.d/kmod",
    "/etc/rcS.d/S01kmod",
    "/etc/cron.daily/man-db",
    "/etc/cron.weekly/man-db",
    "/etc/systemd/system/timers.target.wants",
    "/etc/systemd/system/timers.target.wants/man-db.timer",
    "/usr/lib/systemd/system/man-db.service",
    "/usr/lib/systemd/system/man-db.timer",
}

# Takes minutes of compiling, or the debug kernel, and says nothing of the machine.
LEFT_OUT = ("debug_kernel", "test_new_feature", "test_sanitizers", "test_build.Parts")
SHOWN = 60  # lines of a failure

Result = tuple[bool, str]
Rows = tuple[tuple[tuple[str, Callable[[], Result]], ...], ...]


def run(*command: str) -> tuple[int, str]:
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    return done.returncode, done.stdout


def machine_is_bare() -> Result:
    there = [
        name for name in ("cc", "gcc", "g++", "ld", "dkms", "openssl", "sudo") if shutil.which(name)
    ]
    there += [path for path in ("/lib/modules", "/var/lib/dkms") if os.path.exists(path)]
    return not there, f"there already: {there}"


def without_python() -> Result:
    """Without python3, and with only what the package python3-minimal contains."""
    outputs = []
    for part in (PYTHON, Path(dataclasses.__file__)):
        hidden = part.with_suffix(".hidden")
        part.rename(hidden)
        try:
            status, output = run("make", "deps")
        finally:
            hidden.rename(part)
        outputs.append(output)
        if status == 0 or output.count("\n") != 1 or "install the package python3" not in output:
            return False, output
    return True, "".join(outputs)


def deps_of_a_build() -> Result:
    status, output = run("scripts/deps", "build")
    more = [name for name in ("qemu-system-x86_64", "dkms", "busybox") if shutil.which(name)]
    return status == 0 and not more, f"{output}\nthere, too: {more}"


def build_for(kernel: str) -> Result:
    folder = subprocess.check_output(
        ["scripts/kernels", "show", kernel, "build"], cwd=ROOT, text=True
    ).strip()
    status, output = run("make", f"KDIR={folder}", "KVMPV_WERROR=1")
    quiet = re.fullmatch(r"built build/\S+/kvmpv\.ko\n", output)
    return status == 0 and bool(quiet), output


def deps() -> Result:
    before, packages = started(), installed()
    status, output = run("make", "deps")
    services = started() - before - NO_SERVICES
    removed = packages - installed()
    running = processes()
    good = status == 0 and not services and not removed and not running
    return good, f"{output}\nservices: {services}\nremoved: {removed}\nrunning: {running}"


def deps_again() -> Result:
    status, output = run("scripts/deps", "--check")
    return status == 0, output


def started() -> set[str]:
    return {str(file) for folder in STARTED for file in Path(folder).rglob("*")}


def installed() -> set[str]:
    command = ["dpkg-query", "-W", "-f", "${Package}\\n"]
    return set(subprocess.check_output(command, text=True).split())


def processes() -> list[str]:
    """The processes in the root, except this one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            inside = os.path.samefile(process / "root", "/")
            name = (process / "comm").read_text().strip()
        except OSError:
            continue  # it has ended
        if inside and int(process.name) != os.getpid():
            found.append(f"{process.name} {name}")
    return found


def dkms_without_openssl() -> Result:
    """For one kernel. The checks of sources and objects do it for both, with openssl."""
    release, folder = (
        subprocess.check_output(["scripts/kernels", "show", "6.1", field], cwd=ROOT, text=True)
        for field in ("release", "build")
    )
    hide = "mount --bind /dev/null /usr/bin/openssl && exec sh tests/dkms.sh '' \"$1\""
    kernel = f"{release.strip()}={folder.strip()}"
    status, output = run("unshare", "--mount", "sh", "-c", hide, "sh", kernel)
    said = "mok.key not found and can't be generated, modules won't be signed"
    return status == 0 and said in output, output


def debian_package() -> Result:
    """`make deb`, and what the package does on a machine. For one kernel, because DKMS compiles the whole module."""
    release, folder = (
        subprocess.check_output(["scripts/kernels", "show", "6.12", field], cwd=ROOT, text=True)
        for field in ("release", "build")
    )
    namespace = ["unshare", "--mount", "sh", "tests/package.sh"]
    status, output = run(*namespace, release.strip(), folder.strip())
    return status == 0, output


# With the headers of the kernel that a new Debian 12 has.
AUTOPKGTEST = ("autopkgtest", "autodep8", "dctrl-tools", "linux-headers-amd64")


def autopkgtest() -> Result:
    """The test that debian/control names, which installs the package and has DKMS build for the kernel whose headers are there."""
    status, output = run("apt-get", "install", "-y", "--no-install-recommends", *AUTOPKGTEST)
    if status != 0:
        return False, output
    (package,) = (ROOT / "build/deb").glob("kvmpv_*.changes")
    # The root is gone afterwards, so nothing of it needs to be put back.
    ignored = "--ignore-restrictions=breaks-testbed"
    status, output = run("autopkgtest", ignored, str(package), "--", "null")
    built = re.search(r"^I: PASS 6\.1\.\S+-amd64$", output, re.MULTILINE)
    passed = re.search(r"^dkms-autopkgtest +PASS \(superficial\)$", output, re.MULTILINE)
    # 8: nothing has failed, and no test claims to be more than superficial.
    return status == 8 and bool(built and passed), output


def sources_and_objects() -> Result:
    options = [f"--leave-out={text}" for text in LEFT_OUT]
    status, output = run("tests/check", "--only", "sources and objects", *options)
    passed = re.search(r"^ok   sources and objects: (\d+) tests", output, re.MULTILINE)
    return status == 0 and passed is not None and int(passed[1]) > 0, output


STEPS: Rows = (
    (("the machine is bare", machine_is_bare),),
    (("without python3 make deps says so in one line", without_python),),
    (("scripts/deps build", deps_of_a_build),),
    (("make for 6.1", lambda: build_for("6.1")), ("make for 6.12", lambda: build_for("6.12"))),
    (("make deps removes nothing and starts no service", deps),),
    (("make deps has left nothing out", deps_again),),
    (
        ("DKMS without openssl", dkms_without_openssl),
        ("sources and objects", sources_and_objects),
    ),
    # By itself: while the package is installed, `make dkms-install` and `make dkms-remove` are refused.
    (("make deb", debian_package),),
)
# Minutes: it installs what a test of a package needs, and DKMS compiles the module once more.
MORE_STEPS: Rows = ((("autopkgtest", autopkgtest),),)


def main() -> None:
    """Runs the steps of a row at the same time, and the next row only if they have passed."""
    for row in STEPS + (MORE_STEPS if sys.argv[1:] == ["--all"] else ()):
        with ThreadPoolExecutor(len(row)) as pool:
            results = list(pool.map(lambda step: step[1](), row))
        for (name, _), (passed, text) in zip(row, results):
            detail = "\n".join(text.splitlines()[-SHOWN:])
            print(json.dumps({"name": name, "passed": passed, "detail": detail}), flush=True)
        if not all(passed for passed, _ in results):
            sys.exit(1)


if __name__ == "__main__":
    main()
