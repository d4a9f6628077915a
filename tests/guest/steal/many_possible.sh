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

# It was not there when attribution was switched on.
cpu_that_comes_is_charged() {
	echo 0 > $ONLINE && echo 0 > $STEAL/attribution && rmmod kvmpv && load steal_attribution=1 &&
		echo 1 > $ONLINE || return 1
	taskset -c 0 sh -c 'while :; do :; done' > /dev/null 2>&1 &
	on_0=$!
	taskset -c 1 sh -c 'while :; do :; done' > /dev/null 2>&1 &
	on_1=$!
	reaches 1000000 charged tasks pid $on_0 && reaches 1000000 charged tasks pid $on_1 &&
		parts_make_the_whole tasks || return 1
	kill $on_0 $on_1
	wait $on_0 $on_1 2> /dev/null
	before=$(charged tasks pid $on_1)
	echo 0 > $ONLINE && equal "of a CPU that went" "$(charged tasks pid $on_1)" "$before" &&
		parts_make_the_whole tasks || return 1
	echo 1 > $ONLINE && equal "of a CPU that came back" "$(charged tasks pid $on_1)" "$before" &&
		parts_make_the_whole tasks
}

begin steal
check possible equal possible "$(cat /sys/devices/system/cpu/possible)" 0-239
check takes_little
check cpu_that_comes_is_charged
end
