# SPDX-License-Identifier: GPL-2.0-only
#
# `make try`: the steps that a user would do by hand. Runs in the guest.
set -u

KVMPV=/sys/kernel/debug/kvmpv
CLOCKSOURCE=/sys/devices/system/clocksource/clocksource0
PROBE=/proc/kvmpv_probe

step() {
	printf '\n\033[1m=== %s\033[0m\n' "$1"
}

# Prints what kvmpv must restore, read by instruments that share no code with it.
state_of_the_kernel() {
	cat $PROBE
	cpu=0
	while [ -e /dev/cpu/$cpu/msr ]; do
		for msr in 0x12 0x4b564d01 0x4b564d03 0x4b564d04; do
			value=$(dd if=/dev/cpu/$cpu/msr bs=8 count=1 iflag=skip_bytes skip=$((msr)) 2>/dev/null |
				od -An -tx8)
			echo "cpu $cpu msr $msr$value"
		done
		cpu=$((cpu + 1))
	done
	grep . $CLOCKSOURCE/available_clocksource
}

clocksources() {
	echo "available: $(cat $CLOCKSOURCE/available_clocksource)"
	echo "current:   $(cat $CLOCKSOURCE/current_clocksource)"
}

# Turns a table on its side: one line per field, one column per CPU.
on_its_side() {
	awk 'NR > 1 { for (i = 1; i <= NF; i++) cell[NR, i] = $i; rows = NR; if (NF > fields) fields = NF }
	END { for (i = 1; i <= fields; i++) {
		line = sprintf("%-18s", cell[2, i])
		for (row = 3; row <= rows; row++) line = line sprintf(" %-20s", cell[row, i])
		print line } }'
}

now_ns() {
	awk '$1 == "now_ns" { print $2 }' $KVMPV/clock/state
}

# Shows the kernel's time, by whatever clocksource it uses, beside the time of kvmpv's clock.
side_by_side() {
	echo "kernel uptime (on $(cat $CLOCKSOURCE/current_clocksource))   kvmpv clock      since the line before"
	before=
	for second in 1 2 3 4; do
		[ $second = 1 ] || sleep 1
		now=$(now_ns)
		printf '%10s s %27d.%09d s' "$(cut -d' ' -f1 /proc/uptime)" $((now / 1000000000)) $((now % 1000000000))
		[ -z "$before" ] || printf '   %s ns' $((now - before))
		echo
		before=$now
	done
}

insmod /kvmpv/kvmpv_probe.ko || exit 1
state_of_the_kernel > /tmp/before

step "$(uname -sr), $(grep -c ^processor /proc/cpuinfo) CPUs. The clocksources before loading:"
clocksources

step "insmod kvmpv.ko"
insmod /kvmpv/kvmpv.ko || exit 1
dmesg | grep kvmpv: | tail -n 1

step "cat /sys/kernel/debug/kvmpv/status"
cat $KVMPV/status

step "kvmpv status: the same and more, in words"
kvmpv status

step "/sys/kernel/debug/kvmpv/cpus, turned on its side"
on_its_side < $KVMPV/cpus

step "The clocksources after loading; nothing else has changed:"
clocksources
side_by_side

step "echo kvmpv > current_clocksource"
echo kvmpv > $CLOCKSOURCE/current_clocksource || exit 1
clocksources
side_by_side

step "rmmod kvmpv is refused while the kernel runs on it:"
rmmod kvmpv && exit 1
sed -n '/^While/,$p' $KVMPV/status

step "So: echo kvm-clock > current_clocksource; rmmod kvmpv"
echo kvm-clock > $CLOCKSOURCE/current_clocksource && rmmod kvmpv || exit 1
clocksources

step "Is everything as it was? By the kernel's msr driver and the probe module:"
state_of_the_kernel > /tmp/after
cat /tmp/after
diff /tmp/before /tmp/after && echo "No difference: all is as before."
