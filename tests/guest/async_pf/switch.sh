# SPDX-License-Identifier: GPL-2.0-only
#
# The switch for counting waits for the host's paging: the probe on the kernel's function is there while it is on, and
# only then. Where the kernel does not handle async page faults the feature is off. MODE: shared or owned (nopv).
. /tests/lib.sh

FOLDER=$DEBUG/async_pf
PARAMETER=/sys/module/kvmpv/parameters/async_pf_accounting
RECORD_MSR=0x4b564d02
VECTOR_MSR=0x4b564d06

probe_is_there() {
	contains "$(cat /sys/kernel/debug/kprobes/list)" ' kvm_async_pf_task_wait_schedule[+ ]'
}

no_probe() {
	lacks "$(cat /sys/kernel/debug/kprobes/list)" ' kvm_async_pf_task_wait_schedule[+ ]'
}

# accounting_is yes|no 1|0
accounting_is() {
	equal accounting "$(field async_pf/accounting accounting)" "$1" &&
		equal "accounting in state" "$(field async_pf/state accounting)" "$1" &&
		equal parameter "$(cat $PARAMETER)" "$2"
}

# refused TEXT: by the file and by the parameter.
refused() {
	fails_with nvalid sh -c "echo '$1' > $FOLDER/accounting" && fails_with nvalid sh -c "echo '$1' > $PARAMETER"
}

off_at_first() {
	accounting_is no 0 && no_probe && contains "$(reason async_pf)" '; waits are not counted$' &&
		equal waits "$(cell async_pf/cpus 0 waits)" - && equal counted_since_ns "$(field async_pf/state counted_since_ns)" 0
}

# flags_of CPU: what the columns say of the bits of its MSR, as a number.
flags_of() {
	number=0
	for column in as_interrupt as_pf_vmexit send_always enabled; do
		number=$((2 * number))
		[ "$(cell async_pf/cpus "$1" $column)" = no ] || number=$((number + 1))
	done
	echo $number
}

shows_what_the_msrs_hold() {
	for cpu in 0 1; do
		held=$(msr $cpu $RECORD_MSR)
		equal pa "$(($(cell async_pf/cpus $cpu pa)))" $((held & ~63)) &&
			equal flags "$(flags_of $cpu)" $((held & 63)) &&
			equal vector "$(cell async_pf/cpus $cpu vector)" "$(msr $cpu $VECTOR_MSR)" || return 1
	done
}

# As /proc/interrupts has them.
counts_interrupts_as_the_kernel() {
	for cpu in 0 1; do
		equal interrupts "$(cell async_pf/cpus $cpu interrupts)" \
			"$(awk -v column=$((cpu + 2)) '$1 == "HYP:" { print $column }' /proc/interrupts)" || return 1
	done
}

switches_on() {
	echo 1 > $FOLDER/accounting && accounting_is yes 1 && probe_is_there &&
		contains "$(reason async_pf)" '; waits are counted$' && equal waits "$(cell async_pf/cpus 0 waits)" 0 || return 1
	since=$(field async_pf/state counted_since_ns)
	# Once more does nothing.
	echo 1 > $PARAMETER && equal counted_since_ns "$(field async_pf/state counted_since_ns)" "$since"
}

switches_off() {
	echo 0 > $PARAMETER && accounting_is no 0 && no_probe && equal waits "$(cell async_pf/cpus 0 waits)" 0
}

goes_and_comes() {
	for round in $(seq 20); do
		echo 1 > $FOLDER/accounting && probe_is_there && echo 0 > $FOLDER/accounting && no_probe ||
			{ echo "round $round"; return 1; }
	done
}

refuses_bad_input() {
	for text in 2 -1 10 01 ' ' on y 1.0 '1 1' '0 1'; do
		fails_with nvalid sh -c "echo '$text' > $FOLDER/accounting" || return 1
	done
	length=2
	while [ $length -le 70 ]; do
		head -c $((length + 2)) /dev/urandom > /tmp/random
		fails_with nvalid sh -c "cat /tmp/random > $FOLDER/accounting" || { od -c /tmp/random; return 1; }
		length=$((length + 1))
	done
	for text in 2 -1 x; do
		fails_with nvalid sh -c "echo $text > $PARAMETER" || return 1
	done
	accounting_is no 0
}

goes_with_the_module() {
	load async_pf_accounting=1 && accounting_is yes 1 && probe_is_there && rmmod kvmpv && no_probe &&
		fails_with nvalid load async_pf_accounting=2
}

off_with_its_reason() {
	equal mode "$(mode async_pf)" off &&
		contains "$(reason async_pf)" 'the kernel does not use it, and nobody else can$'
}

stays_off() {
	equal rows "$(awk 'NR > 2' $FOLDER/cpus)" '' && refused 1 && refused 0 && no_probe && equal parameter "$(cat $PARAMETER)" 0
}

remember
check loads load
if [ "$MODE" = shared ]; then
	check mode equal mode "$(mode async_pf)" shared
	check off_at_first
	check shows_what_the_msrs_hold
	check counts_interrupts_as_the_kernel
	check switches_on
	check switches_off
	check refuses_bad_input
	check goes_and_comes
	check unloads unload
	check goes_with_the_module
else
	check off_with_its_reason
	check stays_off
	check unloads unload
fi
check everything_is_undone undone
check nothing_was_logged lacks "$(dmesg)" 'kvmpv: async_pf'
finish
