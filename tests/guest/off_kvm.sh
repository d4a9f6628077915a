# SPDX-License-Identifier: GPL-2.0-only
#
# Not a KVM guest, as far as CPUID tells: loading fails with one line and touches nothing.
. /tests/lib.sh

one_line_says_why() {
	# The kernel's own remarks about an unsigned module from outside the tree do not count, and
	# busybox asks twice, by finit_module and by init_module.
	lines=$(dmesg | grep 'kvmpv: ' | grep -v 'taint' | sed 's/^[^]]*] //' | sort -u)
	equal "number of lines" "$(printf '%s\n' "$lines" | wc -l)" 1 &&
		contains "$lines" 'this is no KVM guest: .*; nothing was changed'
}

remember
check refuses_to_load fails_with 'No such device' load
check one_line_says_why one_line_says_why
check nothing_was_touched undone
finish
