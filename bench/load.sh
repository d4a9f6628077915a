# SPDX-License-Identifier: GPL-2.0-only
#
# Loads and unloads modules. Each work leaves the guest as it has found it: others may follow. Sourced.

BENCH=/sys/kernel/debug/kvmpv_bench
RELEASE=/sys/kernel/debug/kvmpv/clock/release

load() {
	insmod /kvmpv/kvmpv.ko "$@"
}

load_both() {
	load "$@"
	insmod /kvmpv/kvmpv_bench.ko
}

unload() {
	# In owned mode the guest takes its time from us as soon as it can.
	[ ! -e $RELEASE ] || echo 1 > $RELEASE
	rmmod kvmpv
}

unload_both() {
	rmmod kvmpv_bench
	unload
}
