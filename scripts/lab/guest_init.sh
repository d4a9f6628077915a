#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The first process of every guest. It sets the guest up, runs COMMAND between two marks, and sends the kernel log.
# It starts few processes on purpose: on a nested host each one costs about 20 ms, in every run.

mount -a
cp -a /kvmpv/dev/. /dev/
mount -t devpts devpts /dev/pts
for module in /kvmpv/stock/*.ko; do
	[ ! -e "$module" ] || insmod "$module"
done
mkfifo /run/output /run/errors /run/never
. /kvmpv/job # sets: token load params begin_mark own_marks interactive rows columns; and export lines for COMMAND

# The kernel adds the ports some time after the driver is loaded. A shell cannot wait for that event without missing it.
until [ -e /dev/vport0p5 ]; do
	waited=$((waited + 1))
	if [ "$waited" -gt 1000 ]; then
		echo 'guest: no virtio ports; does this kernel have CONFIG_VIRTIO_PCI and CONFIG_VIRTIO_CONSOLE?'
		exit 1
	fi
	read -r -t 0.01 _ <>/run/never
done

# There are pipes between COMMAND and the virtio ports. A port can be opened only once, which would break "> /dev/stderr".
cat /run/output >/dev/vport0p2 &
cat /run/errors >/dev/vport0p3 &
exec 5<>/run/output 6<>/run/errors 7<>/dev/vport0p1 9</dev/vport0p4

# The token tells the reader that it has everything: a port has no end of file, and the ports are not ordered.
finish() {
	printf '%s' "$token" >&5
	printf '%s' "$token" >&6
	{
		dmesg -r
		printf '%s' "$token"
	} >/dev/vport0p5
	echo "$@" >&7
	while read -r _ <&7; do :; done # the host ends QEMU, which is faster than a reboot
}

if [ -n "$load" ]; then
	echo '<6>guest: loading kvmpv.ko' >/dev/kmsg
	# shellcheck disable=SC2086 # the parameters are words
	insmod /kvmpv/kvmpv.ko $params 2>&6 || finish refused $?
fi

# dd moves the file position of /dev/port to the first mark and writes nothing. From then on a byte that the shell itself
# writes to this descriptor is a port write, and no process is started between the marks.
mark() {
	[ -n "$own_marks" ] || printf 'x' >&8
}
exec 8<>/dev/port
dd bs=1 count=0 seek="$begin_mark" >&8 2>/dev/null </dev/null

echo ready >&7
read -r _ <&7
cd /root || exit
if [ -n "$interactive" ]; then
	stty rows "$rows" columns "$columns" </dev/hvc0
	mark
	setsid -c sh -l <>/dev/hvc0 >&0 2>&1 5>&- 6>&- 7>&- 8>&-
else
	mark
	sh -c "$(cat /kvmpv/command)" </dev/null >&5 2>&6 5>&- 6>&- 7>&- 8>&-
fi
status=$?
mark
finish ended $status
