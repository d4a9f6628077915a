# SPDX-License-Identifier: GPL-2.0-only
#
# A thread on each CPU calls kvmpv's read callback while the guest migrates to another QEMU, live and through a file.
# Time never goes back, neither on one CPU nor between CPUs. tests/host/life.py plays the host. MODE: shared or owned
# (nopv). EXPECT_PATH: stable or guarded.
. /tests/lib.sh
. /tests/clock/warp_lib.sh


# moves VERB ARGUMENT...: migrates. The host answers when that is done, and the threads continue to read.
moves() {
	disruptions=$(field clock/state disruptions)
	start_warp kvmpv 0 || return 1
	ask_host "$@"
	echo "goal $READS" > $BENCH/warp
	no_steps || return 1
	counts_beyond disruptions "$disruptions" && each_cpu_looks
}

native=$(current_clocksource)
insmod /kvmpv/kvmpv_bench.ko
begin clock
check path equal path "$(field clock/state path)" "${EXPECT_PATH:-stable}"
check selects select_clocksource kvmpv
# So that there is an earlier look with which a migration can be compared.
check each_cpu_looks
check moves_live moves live
check moves_by_a_file moves save 3
check no_broken_promise equal stable_revoked "$(field clock/state stable_revoked)" no
select_clocksource "$native"
rmmod kvmpv_bench
end
