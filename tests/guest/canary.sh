# SPDX-License-Identifier: GPL-2.0-only
#
# Sourced by tests that look whether the host still writes to memory which the module has given back
# (kunit/canary.c).

CANARY=/sys/kernel/debug/kvmpv_canary
TRACED_MSR=/sys/kernel/tracing/events/msr/write_msr

# Where the host was asked to answer clock/wall_clock, as the kernel's tracepoint has it.
wall_clock_address() {
	echo 'msr == 0x4b564d00' > $TRACED_MSR/filter
	echo 1 > $TRACED_MSR/enable
	cat $DEBUG/clock/wall_clock > /dev/null
	echo 0 > $TRACED_MSR/enable
	sed -n 's/.*write_msr: 4b564d00, value \([1-9a-f][0-9a-f]*\)$/0x\1/p' /sys/kernel/tracing/trace | head -n 1
}

# The pages in which the host writes the CPUs' clock and steal records.
record_pages() {
	awk 'NR == 2 { for (i = 1; i <= NF; i++) if ($i == "clock_pa" || $i == "steal_pa") at[i] }
		NR > 2 { for (i in at) if ($i ~ /^0x/ && length($i) > 5) print substr($i, 1, length($i) - 3) "000" }' \
		$DEBUG/cpus | sort -u
}

hold() {
	[ -e $CANARY ] || insmod /kvmpv/kvmpv_canary.ko || return 1
	for address; do
		echo "hold $address" > $CANARY || return 1
	done
}

# By the kernel's msr driver: as 8 bytes, the lowest first.
write_msr() {
	bytes=$(printf '%016x' "$3" | sed 's/\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)/\\x\8\\x\7\\x\6\\x\5\\x\4\\x\3\\x\2\\x\1/')
	printf "$bytes" | dd of="/dev/cpu/$1/msr" bs=8 oflag=seek_bytes seek=$(($2)) conv=notrunc 2> /dev/null
}

# The instrument does see a write of the host's: this makes it write a wall clock into the first page.
canary_can_die() {
	before=$(msr 0 0x4b564d00)
	write_msr 0 0x4b564d00 "$(sed -n '1s/ .*//p' $CANARY)"
	changed=$(sed -n '1s/.* changed //p' $CANARY)
	write_msr 0 0x4b564d00 0
	# version, sec and nsec; a byte of these may be the pattern's by chance.
	within "changed bytes" "$changed" 8 12 || return 1
	# A write of its address would make the host answer there, which is what the kernel had it do at boot.
	[ "$before" = 0x0 ] || write_msr 0 0x4b564d00 "$before"
	equal wall_clock_new "$(msr 0 0x4b564d00)" "$before"
}

canaries_live() {
	equal "pages held" "$(grep -c ' refs 1 ' $CANARY)" "$1" || { cat $CANARY; return 1; }
	equal "pages untouched" "$(grep -c ' changed 0$' $CANARY)" "$1" || { cat $CANARY; return 1; }
}
