# SPDX-License-Identifier: GPL-2.0-only
#
# If the host does not offer PV EOI, the feature is off, says why, and hooks nothing.
. /tests/lib.sh
. /tests/eoi/lib.sh

remember
before=$(eoi_callback)
check loads load steal_hook=0
check off equal mode "$(mode eoi)" off
check reason contains "$(reason eoi)" 'CPUID does not offer KVM_FEATURE_PV_EOI$'
check callback_is_the_kernels equal callback "$(eoi_callback)" "$before"
check no_hook_changed sh -c '. /tests/lib.sh; hooks | diff /tmp/hooks.before -'
check not_hooked equal hooked "$(field eoi/hook hooked)" no
check no_rows equal rows "$(awk 'NR > 2' $DEBUG/eoi/cpus)" ''
check cannot_be_hooked fails_with 'nvalid' sh -c "echo 1 > $DEBUG/eoi/hook"
check msr_is_untouched sh -c '. /tests/lib.sh; all_msrs | diff /tmp/msrs.before -'
end
