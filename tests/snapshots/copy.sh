# SPDX-License-Identifier: GPL-2.0-only
#
# Prints what `kvmpv` reads of the guest in which it runs, each file after a line with its path.
cd / || exit 1
for file in $(find sys/kernel/debug/kvmpv sys/module/kvmpv/parameters -type f | sort) \
	sys/devices/system/clocksource/clocksource0/available_clocksource \
	sys/devices/system/clocksource/clocksource0/current_clocksource \
	proc/sys/kernel/osrelease proc/stat proc/uptime; do
	echo "==> $file <=="
	cat "$file"
done
