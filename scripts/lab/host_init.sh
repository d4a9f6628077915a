#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The first process of the nested KVM host: gives it modules and the machine's own root, read-only, and runs lab/on_host.py.
# The two take about a second of an emulated CPU each, so they go side by side, and there are two CPUs.

insert() {
	for module in "$@"; do insmod "$module" || echo "host: cannot insert $module"; done
}

mount -a
mkfifo /dev/root-ready /dev/kvm-ready /dev/never
{
	insert /modules/link/*.ko
	mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 machine /root
	for folder in dev proc sys; do mount -o rbind /$folder /root/$folder; done
	# The only place that can be written to. It hides nothing: the machine's own /dev is not to be seen here anyway.
	mkdir /dev/shm
	mount -t tmpfs tmpfs /dev/shm
	# The kernel adds the port some time after its driver is in, and has no event for it that a shell could not miss.
	until [ -e /dev/vport0p1 ]; do read -r -t 0.01 _ <>/dev/never; done
	echo >/dev/root-ready
	insert /modules/kvm/*.ko
	echo >/dev/kvm-ready
} &
. /job # sets: scripts
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/dev/shm TMPDIR=/dev/shm LC_ALL=C.UTF-8
exec /usr/bin/python3 -I -S -c '
import os, sys
sys.path.insert(0, sys.argv[1])
from lab.on_host import main
open("/dev/root-ready").read()
os.chroot("/root")
os.chdir("/")
main(os.open("/dev/vport0p1", os.O_RDWR))' "$scripts"
