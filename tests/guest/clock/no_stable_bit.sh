# SPDX-License-Identifier: GPL-2.0-only
#
# CPUID does not offer the stable bit, but the host sets the flag in the records. The flag alone is not believed,
# so the guarded path is used, with or without RDTSCP.
. /tests/lib.sh

grep -qw rdtscp /proc/cpuinfo && tsc_read=rdtscp || tsc_read=lfence
begin clock
check raw_flag_is_set equal flags "$(cell cpus 0 flags)" 1
check bit_is_not_offered equal stable_offered "$(field clock/state stable_offered)" no
check path_is_guarded equal path "$(field clock/state path)" guarded
check tsc_read equal tsc_read "$(field clock/state tsc_read)" "$tsc_read"
check selects select_clocksource kvmpv
check guard_is_in_use sh -c ". /tests/lib.sh; a=\$(field clock/state guard_last_ns); b=\$(field clock/state guard_last_ns); [ \$a -gt 0 ] && [ \$b -gt \$a ]"
check selects_native_again select_clocksource kvm-clock
end
