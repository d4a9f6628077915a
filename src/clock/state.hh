// SPDX-License-Identifier: GPL-2.0-only
//
// The state of the clock at one moment.

#pragma once

#include "clock/vdso.hh"
#include "kvmpv/pvclock.hh"

namespace kvmpv {

struct ClockState {
    bool registered;
    bool stable_offered;
    bool enabled;
    // The rest means something only if `enabled`.
    bool unbound;
    bool current;
    bool owned;
    bool uses_deprecated_msr;
    int rating;
    bool released;
    const char* why_current;  // why the kernel stays with kvmpv after release(), in words
    int is_named;             // see linux_clocksource_is_named()
    int is_watchdog;          // see linux_clocksource_is_watchdog()
    bool judges;
    bool is_indispensable;
    bool guarded;
    bool forced;
    bool revoked;
    bool alone;
    const char* tsc_read;
    bool is_kvm_clock;
    Vdso vdso;
    bool page_is_kept;
    u64 cpu0_wakes;
    u64 now_ns;
    u64 guard_last_ns;
    // Over all CPUs: the sums, and the maximum.
    std::array<u64, kNumClockCounters> counts;
    u64 held_back_max_ns;

    u64 count(ClockCounter counter) const { return counts[static_cast<u32>(counter)]; }
};

}  // namespace kvmpv
