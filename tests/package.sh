#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: package.sh RELEASE BUILD_FOLDER
#
# Runs `make deb`, and installs and purges the package for that kernel. Only on the bare machine, and in a mount
# namespace of its own, whose empty folders stand for a machine without kernels.
set -eu
release=$1 folder=$2
cd "$(dirname "$0")/.."
version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
sources=/usr/src/kvmpv-$version
said=/var/lib/dkms/said

fail() {
	cat "$said" 2> /dev/null || true
	echo "$*" >&2
	exit 1
}

says() {
	grep -qF "$1" "$said" || fail "it does not say: $1"
}

mkdir -p /var/lib/dkms /lib/modules
for place in /var/lib/dkms /lib/modules /usr/src; do
	mount -t tmpfs tmpfs "$place"
done

make deb
deb=$PWD/$(ls build/deb/kvmpv-dkms_*_all.deb)
[ "$(dpkg-deb -f "$deb" Version)" = "$version" ] || fail 'the package has another version'

installs() {
	apt-get install -y --no-install-recommends "$deb" > "$said" 2>&1
}

purge() {
	apt-get purge -y kvmpv-dkms > "$said" 2>&1 || fail 'purging fails'
	[ -z "$(dkms status kvmpv)" ] || fail 'dkms still knows kvmpv'
	for place in /var/lib/dkms/kvmpv "$sources" /usr/share/doc/kvmpv-dkms; do
		[ ! -e "$place" ] || fail "$place is still there"
	done
	[ -z "$(find /lib/modules -name 'kvmpv.ko*')" ] || fail 'a module is still there'
}

# ---- Where make dkms-install has been ----
DESTDIR=/. scripts/dkms install "$version" "$release"
dkms add "kvmpv/$version"
! installs || fail 'the package is installed over what make dkms-install has put there'
says 'kvmpv-dkms: DKMS has a kvmpv of another origin already: remove that first (make dkms-remove'
make dkms-remove
dpkg --purge kvmpv-dkms > /dev/null 2>&1 || true

# ---- Without headers, and without openssl ----
mount --bind /dev/null /usr/bin/openssl
installs || fail 'without headers the package cannot be installed'
says 'kvmpv-dkms: no kernel headers are here: install linux-headers-amd64'
says 'kvmpv-dkms: without openssl DKMS signs nothing: install openssl'
umount /usr/bin/openssl
purge

# ---- With a kernel, beside one that kvmpv is not for ----
for kernel in "$release" 5.10.0-1-amd64; do
	mkdir "/lib/modules/$kernel"
	ln -s "$folder" "/lib/modules/$kernel/build"
	touch "/lib/modules/$kernel/modules.order" "/lib/modules/$kernel/modules.builtin"
done
installs || fail 'the package cannot be installed'
dkms status "kvmpv/$version" -k "$release" | grep -q ': installed' || fail "no module for $release"
[ "$(modinfo -k "$release" -F version kvmpv)" = "$version" ] || fail 'modinfo has another version'
[ -n "$(modinfo -k "$release" -F signer kvmpv)" ] || fail 'the module is not signed'
! grep -q '^kvmpv-dkms: ' "$said" || fail 'it complains'
for file in /etc/modules-load.d/kvmpv.conf /etc/modprobe.d/kvmpv.conf; do
	[ ! -e "$file" ] || fail "$file: an example is in force"
done

status=0
dkms build "kvmpv/$version" -k 5.10.0-1-amd64 > "$said" 2>&1 || status=$?
[ "$status" -eq 77 ] || fail "for 5.10 dkms exits with $status, not 77"
for goal in dkms-install dkms-remove; do
	! make "$goal" KVER="$release" > "$said" 2>&1 || fail "make $goal meddles with the package"
	says 'kvmpv is installed by the package kvmpv-dkms already: remove that first (apt purge kvmpv-dkms)'
done
dpkg --verify kvmpv-dkms > "$said" || fail 'files of the package have changed'

# The examples are what modprobe and systemd-modules-load read.
examples=/usr/share/doc/kvmpv-dkms/examples
[ "$(grep -v '^#' "$examples/modules-load.d/kvmpv.conf")" = kvmpv ] || fail 'the example to load it'
sed 's/^#options/options/' "$examples/modprobe.d/kvmpv.conf" > /etc/modprobe.d/kvmpv.conf
for parameter in $(modprobe -c | sed -n 's/^options kvmpv //p'); do
	modinfo -k "$release" -F parm kvmpv | grep -q "^${parameter%%=*}:" ||
		fail "there is no parameter ${parameter%%=*}"
done
modprobe -c | grep -q '^options kvmpv steal_attribution=1' || fail 'modprobe does not read the example'
rm /etc/modprobe.d/kvmpv.conf
purge
