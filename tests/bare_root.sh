#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: VARIABLE=VALUE... unshare --mount --pid --fork --kill-child bare_root.sh make|use
#
# make   debootstraps a Debian root of SUITE from MIRROR with the packages FIRST, and writes an archive of it
#        to standard output. Its apt has SOURCES, SETTINGS, and PACKAGES downloaded but not installed.
# use    unpacks ARCHIVE, copies the sources into it, binds KERNELS (folders, read-only), runs COMMAND.
#
# Everything is in memory, below FOLDER, and nothing is written elsewhere. Standard input is a pipe that
# closes when the caller ends, and then everything here ends, too.
set -eu
sources_of_kvmpv=$(dirname "$(readlink -f "$0")")/..

make_root() {
	mount -t tmpfs -o mode=755 tmpfs "$FOLDER"
	cd "$FOLDER"
	debootstrap --variant=minbase --include="$FIRST" "$SUITE" . "$MIRROR" >&2
	echo "$SOURCES" > etc/apt/sources.list
	echo "$SETTINGS" > etc/apt/apt.conf.d/90machine
	in_root apt-get -q update >&2
	# shellcheck disable=SC2086 # words
	in_root apt-get -q install -y --download-only --no-install-recommends $PACKAGES >&2
	rm -rf var/lib/apt/lists
	tar --create --numeric-owner --one-file-system . | zstd -q -T0 >&4
}

use_root() {
	mount -t tmpfs -o mode=755 tmpfs "$FOLDER"
	cd "$FOLDER"
	zstd -q -d < "$ARCHIVE" | tar --extract --numeric-owner --preserve-permissions
	mount -t proc proc proc
	mount -t sysfs -o ro sysfs sys
	mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
	ln -sf pts/ptmx dev/ptmx
	mkdir kvmpv
	tar -C "$sources_of_kvmpv" --exclude=./build --exclude=./.git --create . |
		tar -C kvmpv --extract --no-same-owner
	# All read-only: a request for another kernel fails at once, instead of building it for minutes.
	mkdir cache
	mount -t tmpfs tmpfs cache
	for kernel in $KERNELS; do
		place=cache/entries/${kernel##*/}
		mkdir -p "$place"
		mount --bind "$kernel" "$place"
		mount -o remount,bind,ro "$place"
	done
	mount -o remount,ro cache
	# shellcheck disable=SC2086 # words
	in_root $COMMAND >&4
}

in_root() {
	for file in resolv.conf hosts; do
		[ ! -e "/etc/$file" ] || cat "/etc/$file" > "etc/$file"
	done
	# shellcheck disable=SC2086 # words
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 KVMPV_CACHE=/cache \
		DEBIAN_FRONTEND=noninteractive $PROXIES chroot . "$@"
}

exec 3<&0 4>&1
"$1_root" < /dev/null 3<&- &
work=$!
# The kill does not reach this shell, because it is the first process of the process namespace.
{
	cat <&3 > /dev/null
	kill -KILL -1
} 4>&- &
wait "$work"
