#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: dkms.sh SMALL_TREE|'' RELEASE=BUILD_FOLDER...
#
# Runs the real dkms: add, build and install for all given kernels at the same time, then remove. Then tests
# with SMALL_TREE, whose module builds in seconds, what happens if the sources change or do not build. Runs in a
# mount namespace of its own, in which empty folders hide this machine's dkms tree, sources and modules. With
# openssl the module is signed; without it dkms says so.
set -eu
small=$1
shift
cd "$(dirname "$0")/.."
version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)

fail() {
	echo "$*" >&2
	exit 1
}

installed() {
	find "/lib/modules/$1/updates" -name 'kvmpv.ko*' 2>/dev/null | grep -q .
}

# A machine without a kernel has no /lib/modules to mount over. A real one would stay behind. So it is made in
# an overlay over the parent folder, which disappears with this namespace.
make_in_a_layer() {
	layer=$(mktemp -d)
	mount -t tmpfs tmpfs "$layer"
	mkdir "$layer/upper" "$layer/work"
	below=$(readlink -f "${1%/*}")
	mount -t overlay -o "lowerdir=$below,upperdir=$layer/upper,workdir=$layer/work" overlay "$below"
	umount "$layer" # the overlay keeps its own reference
	rmdir "$layer"
	mkdir "$1"
}

for folder in /var/lib/dkms /lib/modules /usr/src; do
	[ -d "$folder" ] || make_in_a_layer "$folder"
	mount -t tmpfs tmpfs "$folder"
done

for kernel; do
	release=${kernel%%=*}
	mkdir -p "/lib/modules/$release"
	ln -s "${kernel#*=}" "/lib/modules/$release/build"
	touch "/lib/modules/$release/modules.order" "/lib/modules/$release/modules.builtin"
	# Not in /tmp, so that it disappears with the namespace.
	said=/var/lib/dkms/said
	make dkms-install KVER="$release" > "$said" 2>&1 || {
		cat "$said"
		fail "make dkms-install fails for $release"
	}
	cat "$said"
	grep -q "modules won't be signed" "$said" && signed=no || signed=yes
	command -v openssl > /dev/null && signs=yes || signs=no
	[ "$signed" = "$signs" ] ||
		fail "openssl on this machine: $signs; does dkms say that it signs for $release: $signed"
	rm "$said"
done

for kernel; do
	release=${kernel%%=*}
	installed "$release" || fail "kvmpv.ko is not installed for $release"
	dkms status kvmpv/"$version" -k "$release" | grep -q ': installed' ||
		fail "dkms does not say that kvmpv is installed for $release"
	case $(modinfo -k "$release" -F version kvmpv) in
	"$version") ;;
	*) fail "modinfo does not find version $version for $release" ;;
	esac
	case $signs,$(modinfo -k "$release" -F signer kvmpv) in
	yes,?* | no,) ;;
	*) fail "openssl on this machine: $signs; modinfo names another kind of signer for $release" ;;
	esac
done

# An unsupported kernel is skipped and is no failure, nor does its installation fail.
passed_over() {
	status=0
	dkms build kvmpv/"$version" -k "$1" --kernelsourcedir "$2" || status=$?
	[ "$status" -eq 77 ] || fail "for $1 dkms exits with $status, not 77"
	mkdir "/lib/modules/$1"
	ln -s "$2" "/lib/modules/$1/build"
	dkms autoinstall -k "$1" || fail "an upgrade to $1 fails over kvmpv"
	! installed "$1" || fail "kvmpv is installed for $1"
	rm -r "/lib/modules/$1"
}

for release in 5.10.0-1-amd64 6.0.0-1-amd64 7.4.1+deb13-amd64; do
	passed_over "$release" "${1#*=}"
done
# Nothing is compiled for it, so a configuration is enough.
mkdir -p /usr/src/without/include
grep -v '^CONFIG_SMP=' "${1#*=}/.config" > /usr/src/without/.config
passed_over 6.12.0-without-smp /usr/src/without

make dkms-remove
for kernel; do
	! installed "${kernel%%=*}" || fail "kvmpv.ko is still there for ${kernel%%=*}"
done

nothing_left() {
	[ -z "$(dkms status kvmpv)" ] || fail "dkms still knows kvmpv"
	[ ! -e /var/lib/dkms/kvmpv ] || fail "dkms still has files of kvmpv"
	[ ! -e "/usr/src/kvmpv-$version" ] || fail "the sources are still there"
}

nothing_left
said=$(make dkms-remove) || fail "make dkms-remove fails where there is nothing to remove"
[ "$said" = "DKMS does not have kvmpv $version: nothing to remove" ] || fail "it says: $said"

[ -n "$small" ] || exit 0

# ---- Sources that change ----
cd "$small"
release=${1%%=*}
other=${2%%=*}

description_is() {
	[ "$(modinfo -k "$release" -F description kvmpv)" = "$1" ] ||
		fail "what is installed is not the module of the $1 sources"
	dkms status kvmpv/"$version" -k "$release" | grep -q ': installed' ||
		fail "dkms does not say that the module of the $1 sources is installed"
	grep -q "\"$1\"" "/usr/src/kvmpv-$version/src/entry.c" || fail "the $1 sources are not there"
}

echo '#error broken' >> src/entry.c
! make dkms-install KVER="$release" > /var/lib/dkms/said 2>&1 || fail "broken sources are installed"
cat /var/lib/dkms/said
grep -q '#error broken' /var/lib/dkms/said || fail "why the build failed is not shown"
nothing_left
! installed "$release" || fail "a module of broken sources is there"

sed -i '/#error/d' src/entry.c
make dkms-install KVER="$release"
description_is first
sed -i 's/"first"/"second"/' src/entry.c
make dkms-install KVER="$release"
description_is second

echo '#error broken' >> src/entry.c
! make dkms-install KVER="$release" || fail "broken sources are installed over good ones"
description_is second
sed -i '/#error/d' src/entry.c

# A new kernel gets the module automatically.
dkms autoinstall -k "$other"
installed "$other" || fail "$other does not get the module when it comes"

# ---- Two of one name ----
! make install KDIR="/lib/modules/$release/build" > /var/lib/dkms/said 2>&1 ||
	fail "make install puts a second module beside that of DKMS"
grep -q 'remove that first (make dkms-remove, if DKMS put it there)' /var/lib/dkms/said ||
	fail "it says: $(cat /var/lib/dkms/said)"
make dkms-remove
nothing_left
make install KDIR="/lib/modules/$release/build"
! make dkms-install KVER="$release" > /var/lib/dkms/said 2>&1 ||
	fail "DKMS puts a second module beside that of make install"
grep -q "remove that first (make uninstall KVER=$release, if make install put it there)" /var/lib/dkms/said ||
	fail "it says: $(cat /var/lib/dkms/said)"
nothing_left
make uninstall KDIR="/lib/modules/$release/build"
