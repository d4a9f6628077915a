// SPDX-License-Identifier: GPL-2.0-only
//
// The state of the clock at one moment.

#pragma once

#include "kvmpv/pvclock.hh"

namespace kvmpv {

// Whether user space reads the clock without a system call, and if not, why.
enum class Vdso : u8 {
    kOn,
    kParameter,     // vdso=0
    kOwnedMode,     // vdso=1 was not given
    kAsNative,      // likewise, and the kernel's own clock is read by system call
    kNotStable,     // user space reads CPU 0's record on every CPU: all have to agree
    kNoPage,        // the kernel has no page to map, or its pointer to it cannot be found
    kKernelsPage,   // owned mode: the kernel has a page of its own, which it maps
    kNoMappingBit,  // the kernel's variable for modes in use cannot be found
    kGuardOn,       // it was on; user space cannot apply the guard
    kPromiseGone,   // it is on; CPU 0's record has lost its stable flag since
};

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
