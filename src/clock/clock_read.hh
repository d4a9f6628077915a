// SPDX-License-Identifier: GPL-2.0-only
//
// What the read callbacks need, and the clock's controller and the sampler set.

#pragma once

#include "kvmpv/boundary.h"
#include "kvmpv/disruption.hh"
#include "kvmpv/pvclock.hh"

namespace kvmpv::clock_read {

// Read by the hot paths, hence set before the callbacks can be called and left alone after.
struct Setup {
    // The record of a CPU that is online for as long as the clock is registered.
    const PvclockVcpuTimeInfo* fallback_record;
    // Another such CPU's, if there is a second one.
    const PvclockVcpuTimeInfo* second_record;
    // CPUID offers KVM_FEATURE_CLOCKSOURCE_STABLE_BIT. Latched: a host can set the record's flag
    // without offering the bit.
    bool stable_offered;
};

// What a CPU without a record reads.
inline const PvclockVcpuTimeInfo* no_record() {
    return reinterpret_cast<const PvclockVcpuTimeInfo*>(kvmpv_no_clock_record);
}

extern constinit Setup setup;
extern constinit MonotonicGuard guard;

// Stable reads pass by the guard. From now on it hands out nothing below what one of them has just
// shown on this CPU, as far as that can be believed. Interrupts off.
void raise_guard(u64 now_ns);

// ---- How far a CPU's clock can have come ------------------------------------------------------

// What a host's clock may gain on the rate that its record names: NTP slews it by 500 ppm at most.
inline constexpr u32 kClockRateShift = 10;

// From here on this CPU's clock is held against its TSC. On that CPU, interrupts off.
inline void set_base(struct kvmpv_cpu& own, u64 tsc, u64 now_ns) {
    own.clock_base_tsc = tsc;
    own.clock_base_ns = now_ns;
}

// How fast the clock runs by then. The rate that it had, because one that a record names anew may
// be as wrong as the time.
inline void set_base_rate(struct kvmpv_cpu& own, const ClockSample& sample) {
    own.clock_base_mul = sample.tsc_to_system_mul;
    own.clock_base_shift = sample.tsc_shift;
}

// It is not any more. On that CPU, or while that is not there.
inline void drop_base(struct kvmpv_cpu& own) { set_base(own, 0, 0); }

// The latest that this CPU's clock can show at `tsc`; the largest number where no record has ever
// named a rate. On that CPU, interrupts off.
inline u64 latest_ns_at(struct kvmpv_cpu& own, u64 tsc) {
    // No base, or a TSC that was set back: how much time has passed cannot be told; from now on it
    // can. Never an end of time: the clock has to go on, or no timer would expire that could look.
    if (own.clock_base_tsc == 0 || static_cast<s64>(tsc - own.clock_base_tsc) < 0)
        set_base(own, tsc, guard.last_ns());
    if (own.clock_base_mul == 0) return std::numeric_limits<u64>::max();
    const u64 elapsed_ns = scale_tsc_delta(tsc - own.clock_base_tsc, own.clock_base_mul,
                                           static_cast<s8>(own.clock_base_shift));
    return saturating_add(own.clock_base_ns,
                          saturating_add(elapsed_ns, elapsed_ns >> kClockRateShift));
}

}  // namespace kvmpv::clock_read
