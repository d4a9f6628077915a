# SPDX-License-Identifier: GPL-2.0-only
#
# What the scripts about halt polling share. They have read lib.sh before.

POLL=$DEBUG/halt_poll
POLL_MSR=0x4b564d05
PARAMETERS=/sys/module/kvmpv/parameters

# poll_msrs: the MSR of each CPU, as the kernel's msr driver reads it.
poll_msrs() {
	rdmsr -a -c $POLL_MSR | tr '\n' ' '
}

# set_and_before: of each CPU what kvmpv has set, and what was there before.
set_and_before() {
	awk 'NR == 2 { for (i = 1; i <= NF; i++) at[$i] = i }
		NR > 2 { printf "%s/%s ", $at["set"], $at["before"] }' $POLL/cpus
}

# refused MESSAGE TEXT: what is written to control is not accepted. The shell's own printf would not say why.
refused() {
	fails_with "$1" sh -c "echo '$2' > $POLL/control"
}
