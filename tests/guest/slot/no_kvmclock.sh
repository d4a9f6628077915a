# SPDX-License-Identifier: GPL-2.0-only
#
# If the host does not offer kvmclock there is no clocksource, but everything else is shown.
. /tests/lib.sh

remember
check loads load
check clock_is_off equal mode "$(mode clock)" off
check reason contains "$(reason clock)" 'CPUID does not offer KVM_FEATURE_CLOCKSOURCE'
check steal_is_still_there equal mode "$(mode steal)" shared
check not_available sh -c ". /tests/lib.sh; ! available kvmpv"
check feature_is_no contains "$(cat $DEBUG/features)" 'no +KVM_FEATURE_CLOCKSOURCE2$'
check release_has_nothing_to_release fails_with 'nvalid' sh -c "echo 1 > $DEBUG/clock/release"
check cpus_equal_msrs
end
