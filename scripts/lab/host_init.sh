#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The first process of the emulated KVM host: inserts the modules and runs lab/on_host.py, which waits for its job. This is the
# state that the lab keeps: the machine's own root is mounted after it (host_enter.sh), because a mounted one cannot be saved.

mount -a
mkfifo /dev/all-ready /dev/never
{
	for module in /modules/*.ko; do insmod "$module" || echo "host: cannot insert $module"; done
	# The kernel adds the port some time after its driver is in, and has no event for it that a shell could not miss.
	until [ -e /dev/vport0p1 ]; do read -r -t 0.01 _ <>/dev/never; done
	echo >/dev/all-ready
} &
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/dev/shm TMPDIR=/dev/shm LC_ALL=C.UTF-8
exec /usr/bin/python3 -I -S -c '
import os, sys
sys.path.insert(0, "/lab")
from lab.on_host import main
from lab import nested
open("/dev/all-ready").read()
main(os.open("/dev/vport0p1", os.O_RDWR), nested)'
