# SPDX-License-Identifier: GPL-2.0-only
#
# The host does not offer poll control: the feature is off, says why, and leaves the MSR alone. KVM answers it all the same.
. /tests/lib.sh
. /tests/halt_poll/lib.sh

remember
before=$(msr 0 $POLL_MSR)
check loads load halt_poll=0 halt_poll_accounting=1
check off equal mode "$(mode halt_poll)" off
check reason contains "$(reason halt_poll)" 'CPUID does not offer KVM_FEATURE_POLL_CONTROL$'
check no_rows equal rows "$(awk 'NR > 2' $POLL/cpus)" ''
for text in 0 1 '0 1' 2; do
	check "refuses_$(echo "$text" | tr ' ' _)" refused 'nvalid' "$text"
done
check no_accounting fails_with 'nvalid' sh -c "echo 1 > $POLL/accounting"
check parameters_read_0 equal parameters "$(cat $PARAMETERS/halt_poll $PARAMETERS/halt_poll_accounting | tr '\n' ' ')" '0 0 '
check is_left_alone equal MSR "$(msr 0 $POLL_MSR)" "$before"
check nothing_was_logged lacks "$(dmesg)" 'kvmpv: halt_poll'
end
