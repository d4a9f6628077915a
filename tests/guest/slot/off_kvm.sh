# SPDX-License-Identifier: GPL-2.0-only
#
# If CPUID does not say that this is a KVM guest, loading fails with one line and changes nothing.
. /tests/lib.sh

one_line_says_why() {
	# The kernel's own messages about an unsigned out-of-tree module do not count, and busybox tries
	# twice, by finit_module and by init_module.
	lines=$(dmesg | grep 'kvmpv: ' | grep -v 'taint' | sed 's/^[^]]*] //' | sort -u)
	equal "number of lines" "$(printf '%s\n' "$lines" | wc -l)" 1 &&
		contains "$lines" 'this is no KVM guest: .*; nothing was changed'
}

remember
check refuses_to_load fails_with 'No such device' load
check one_line_says_why
check nothing_was_touched undone
finish
