// SPDX-License-Identifier: GPL-2.0-only
//
// What the read callbacks need, and the clock's controller and the sampler set.

#pragma once

#include "kvmpv/boundary.h"
#include "kvmpv/pvclock.hh"
#include "kvmpv/ticks_to_ns.hh"

namespace kvmpv::clock_read {

// Read by the hot paths, hence set before the callbacks can be called and left alone after.
struct Setup {
    // The record of a CPU that is online for as long as the clock is registered.
    const PvclockVcpuTimeInfo* fallback_page;
    // Another such CPU's, if there is a second one.
    const PvclockVcpuTimeInfo* second_page;
    // CPUID offers KVM_FEATURE_CLOCKSOURCE_STABLE_BIT. Latched: a host can set the page's flag
    // without offering the bit.
    bool stable_offered;
    TicksToNs ticks_to_ns;
};

extern constinit Setup setup;
extern constinit MonotonicGuard guard;

// What a record says now by this CPU's TSC, without a judgement on its rate or its value; nothing
// if it is not whole. On the CPU that owns it, interrupts off.
std::optional<u64> this_cpu_record_ns();

// Stable reads pass by the guard. From now on it hands out nothing below what one of them has just
// shown on this CPU, as far as that can be believed. Interrupts off.
void raise_guard(u64 now_ns);

// ---- How far a CPU's clock can have come ------------------------------------------------------

// The kernel knows the TSC's rate to some 500 ppm; 1/1024 is above that.
inline constexpr u32 kClockRateShift = 10;

// From here on this CPU's clock is held against its TSC; `tsc` 0: it is not. On that CPU.
inline void set_base(struct kvmpv_cpu& own, u64 tsc, u64 now_ns) {
    own.clock_base_tsc = tsc;
    own.clock_base_ns = now_ns;
}

// The latest that this CPU's clock can show at `tsc`. Any context, on that CPU.
inline u64 latest_ns_at(struct kvmpv_cpu& own, u64 tsc) {
    // No base, or a TSC that was set back: how much time has passed cannot be told; from now on it
    // can. Never an end of time: the clock has to go on, or no timer would expire that could look.
    if (own.clock_base_tsc == 0 || static_cast<s64>(tsc - own.clock_base_tsc) < 0)
        set_base(own, tsc, guard.last_ns());
    const u64 elapsed_ns = setup.ticks_to_ns(tsc - own.clock_base_tsc);
    return saturating_add(own.clock_base_ns,
                          saturating_add(elapsed_ns, elapsed_ns >> kClockRateShift));
}

}  // namespace kvmpv::clock_read
