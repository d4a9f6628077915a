# SPDX-License-Identifier: GPL-2.0-only
#
# Sourced by tests that check whether the host still writes to memory that the module has freed. Uses the
# module kvmpv_canary.

CANARY=/sys/kernel/debug/kvmpv_canary
TRACED_MSR=/sys/kernel/tracing/events/msr/write_msr

# The address where the host wrote the answer for clock/wall_clock, by the kernel's tracepoint.
wall_clock_address() {
	echo 'msr == 0x4b564d00' > $TRACED_MSR/filter
	echo 1 > $TRACED_MSR/enable
	cat $DEBUG/clock/wall_clock > /dev/null
	echo 0 > $TRACED_MSR/enable
	sed -n 's/.*write_msr: 4b564d00, value \([1-9a-f][0-9a-f]*\)$/0x\1/p' /sys/kernel/tracing/trace | head -n 1
}

# The pages of the CPUs' clock and steal records.
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

# By the kernel's msr driver: 8 bytes, lowest first.
write_msr() {
	bytes=$(printf '%016x' "$3" | sed 's/\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)/\\x\8\\x\7\\x\6\\x\5\\x\4\\x\3\\x\2\\x\1/')
	printf "$bytes" | dd of="/dev/cpu/$1/msr" bs=8 oflag=seek_bytes seek=$(($2)) conv=notrunc 2> /dev/null
}

# Proves that the instrument sees a write by the host: makes the host write a wall clock to the first page.
canary_can_die() {
	before=$(msr 0 0x4b564d00)
	write_msr 0 0x4b564d00 "$(sed -n '1s/ .*//p' $CANARY)"
	changed=$(sed -n '1s/.* changed //p' $CANARY)
	write_msr 0 0x4b564d00 0
	# version, sec and nsec; a byte of these may equal the pattern by chance.
	within "changed bytes" "$changed" 8 12 || return 1
	# Writing the kernel's own address makes the host write there, as the kernel had it do at boot.
	[ "$before" = 0x0 ] || write_msr 0 0x4b564d00 "$before"
	equal wall_clock_new "$(msr 0 0x4b564d00)" "$before"
}

canaries_live() {
	equal "pages held" "$(grep -c ' refs 1 ' $CANARY)" "$1" || { cat $CANARY; return 1; }
	equal "pages untouched" "$(grep -c ' changed 0$' $CANARY)" "$1" || { cat $CANARY; return 1; }
}
