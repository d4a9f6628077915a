# SPDX-License-Identifier: GPL-2.0-only
#
# The guest starts another kernel by kexec, and that one resets the machine, both while timekeeping uses kvmpv in
# owned mode (nopv). After kexec only the module can have stopped the host from writing to the old memory. The
# new kernel reserves that memory, and the canaries in it must stay intact. Each of the three kernels runs this
# script, as one subtest.
. /tests/lib.sh
. /tests/life/canary.sh

# subtest NUMBER NAME: prints the checks so far in the format of run.sh.
subtest() {
	finish | sed 's/^/  /'
	case "$results" in
	*"
not ok "*) echo "not ok $1 $2" ;;
	*) echo "ok $1 $2" ;;
	esac
}

loads_and_moves_to_it() {
	load && equal mode "$(mode clock)" owned && equal current "$(current_clocksource)" kvmpv
}

# The root as it was at the start, without what is mounted on it.
pack_root() {
	mkdir /tmp/root
	mount -o bind / /tmp/root && (cd /tmp/root && find . ! -path ./tests/kernel | cpio -o -H newc) > /tmp/root.cpio
}

first_kernel() {
	echo 'KTAP version 1'
	echo 1..3
	remember
	check loads loads_and_moves_to_it
	for page in $(record_pages); do
		reserved="$reserved memmap=4K\$$page"
	done
	check has_pages within pages "$(echo $reserved | wc -w)" 3 4
	check packs_root pack_root
	subtest 1 first_kernel
	# The output has to reach the host before this kernel ends.
	ask_host let-reboot
	/tests/kexec /tests/kernel /tmp/root.cpio "$(cat /proc/cmdline)$reserved"
}

pages=$(tr ' ' '\n' < /proc/cmdline | sed -n 's/^memmap=4K\$\(.*\)000$/\1/p')

read_page() {
	dd if=/dev/mem bs=4096 skip=$(($1)) count=1 status=none
}

fill_canaries() {
	tr '\0' Z < /dev/zero | head -c 4096 > /tmp/canary
	for page in $pages; do
		dd if=/tmp/canary of=/dev/mem bs=4096 seek=$(($page)) conv=notrunc status=none ||
			{ cat /proc/iomem; return 1; }
	done
}

canaries_live() {
	for page in $pages; do
		read_page "$page" | cmp - /tmp/canary || return 1
	done
}

# When the host continues the guest it writes every registered record.
canaries_survive_a_stop() {
	ask_host stop 1
	canaries_live
}

slots_are_free() {
	for slot in 0x4b564d01 0x4b564d03 0x4b564d04; do
		equal "slot $slot" "$(rdmsr -a -c $slot | sort -u)" 0x0 || return 1
	done
}

second_kernel() {
	check slots_are_free
	check pages_are_reserved within pages "$(echo $pages | wc -w)" 3 4
	check fills_canaries fill_canaries
	check canaries_live_at_first canaries_live
	check canaries_survive_a_stop
	remember
	check loads loads_and_moves_to_it
	check canaries_survive_the_module canaries_survive_a_stop
	subtest 2 after_kexec
	ask_host let-reboot
	reboot -f
}

# Some machines have to be told several times. Says how often.
third_kernel() {
	check was_reset within resets "$answer" 1 100
	remember
	check loads loads_and_moves_to_it
	check now_rises rises_by_a_second
	echo 1 > $DEBUG/clock/release
	check unloads rmmod kvmpv
	check everything_is_undone undone
	subtest 3 after_reset
}

if [ -n "$pages" ]; then
	second_kernel
	exit 1
fi
ask_host let-reboot
if [ "$answer" = 0 ]; then
	first_kernel
	exit 1
fi
third_kernel
