#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: dkms.sh RELEASE=BUILD_FOLDER...
#
# The real dkms: add, build and install for all the given kernels side by side, then remove. Started
# in a mount namespace of its own, where this machine's dkms tree, sources and modules are hidden
# behind empty ones. Where openssl is, the module is signed; where it is not, dkms says so.
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)

fail() {
	echo "$*" >&2
	exit 1
}

installed() {
	find "/lib/modules/$1/updates" -name 'kvmpv.ko*' 2>/dev/null | grep -q .
}

# A machine without a kernel has no /lib/modules to mount over. Made for real, it would stay when we
# have gone: so it is made in a layer over the folder that it belongs in, which goes with us.
make_in_a_layer() {
	layer=$(mktemp -d)
	mount -t tmpfs tmpfs "$layer"
	mkdir "$layer/upper" "$layer/work"
	below=$(readlink -f "${1%/*}")
	mount -t overlay -o "lowerdir=$below,upperdir=$layer/upper,workdir=$layer/work" overlay "$below"
	umount "$layer" # the overlay has a hold of its own on it
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
	# Not in /tmp: this goes with the namespace.
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

# A kernel below 6.1 is passed over, not failed.
status=0
dkms build kvmpv/"$version" -k 5.10.0-1-amd64 --kernelsourcedir "${1#*=}" || status=$?
[ "$status" -eq 77 ] || fail "for a kernel that is too old dkms exits with $status, not 77"

make dkms-remove
for kernel; do
	! installed "${kernel%%=*}" || fail "kvmpv.ko is still there for ${kernel%%=*}"
done
[ -z "$(dkms status kvmpv)" ] || fail "dkms still knows kvmpv"
[ ! -e "/usr/src/kvmpv-$version" ] || fail "the sources are still there"
