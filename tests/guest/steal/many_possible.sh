# SPDX-License-Identifier: GPL-2.0-only
#
# The tables of attribution belong to CPUs that are there, not to the 240 that could be. Needs steal (one_cpu.py).
. /tests/lib.sh
. /tests/steal/lib.sh

ONLINE=/sys/devices/system/cpu/cpu1/online

vmalloc_kb() {
	awk '$1 == "VmallocUsed:" { print $2 }' /proc/meminfo
}

# A CPU's tables take 84 kB, and as much again while they are read. Two CPUs, and room for what else happens.
takes_little() {
	before_kb=$(vmalloc_kb)
	echo 1 > $STEAL/attribution && cat $STEAL/tasks $STEAL/cgroups > /dev/null || return 1
	within "kB for two CPUs" $(($(vmalloc_kb) - before_kb)) 1 1000
}

parts_make_the_whole() {
	awk '
		FNR == 2 { whole = $4 }
		FNR > 3 { parts += $4 }
		END { if (parts != whole || whole < 1) { print parts " of " whole; exit 1 } }' $STEAL/tasks
}

charged() {
	awk -v pid="$1" '$1 == "task" && $2 == pid { print $4; found = 1 } END { if (!found) print 0 }' $STEAL/tasks
}

# It was not there when attribution was switched on.
cpu_that_comes_is_charged() {
	echo 0 > $ONLINE && echo 0 > $STEAL/attribution && rmmod kvmpv && load steal_attribution=1 &&
		echo 1 > $ONLINE || return 1
	taskset -c 0 sh -c 'while :; do :; done' > /dev/null 2>&1 &
	on_0=$!
	taskset -c 1 sh -c 'while :; do :; done' > /dev/null 2>&1 &
	on_1=$!
	reaches 1000000 charged $on_0 && reaches 1000000 charged $on_1 && parts_make_the_whole || return 1
	kill $on_0 $on_1
	wait $on_0 $on_1 2> /dev/null
	before=$(charged $on_1)
	echo 0 > $ONLINE && equal "of a CPU that went" "$(charged $on_1)" "$before" && parts_make_the_whole &&
		echo 1 > $ONLINE && equal "of a CPU that came back" "$(charged $on_1)" "$before" && parts_make_the_whole
}

remember
check possible equal possible "$(cat /sys/devices/system/cpu/possible)" 0-239
check loads load
check takes_little takes_little
check cpu_that_comes_is_charged cpu_that_comes_is_charged
check unloads rmmod kvmpv
check undone undone
finish
