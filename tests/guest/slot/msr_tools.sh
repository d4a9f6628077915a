# SPDX-License-Identifier: GPL-2.0-only
#
# What the tests read of the MSRs is what rdmsr of msr-tools reads. Without the module and with it.
. /tests/lib.sh

by_msr_tools() {
	for entry in $MSRS; do
		values=$(rdmsr -a -c "${entry#*=}" 2> /dev/null) || values=unreadable
		echo "${entry%=*}" $values
	done
}

agree() {
	by_msr_tools > /tmp/msrs.by_tools
	equal "number of MSRs" "$(wc -l < /tmp/msrs.by_tools)" 11 && all_msrs | diff /tmp/msrs.by_tools -
}

check without_the_module agree
check loads load
check with_the_module agree
unload
finish
