// SPDX-License-Identifier: GPL-2.0-only
//
// What the read callbacks need. The clock's controller and the sampler set it.

#pragma once

#include "boundary.h"
#include "kvmpv/disruption.hh"
#include "kvmpv/pvclock.hh"
#include "x86.hh"

namespace kvmpv::clock_read {

// Read by the hot paths, so it is set before the callbacks can be called. Afterwards only CPU
// hotplug changes it, and only the two records.
struct Setup {
    // The record of an online CPU.
    const PvclockVcpuTimeInfo* fallback_record;
    // The record of another online CPU, if there is one; otherwise no_record().
    const PvclockVcpuTimeInfo* second_record;
    // CPUID offers KVM_FEATURE_CLOCKSOURCE_STABLE_BIT. Latched: a host can set the record's flag
    // without offering the bit.
    bool stable_offered;
};

// The record that a CPU without one reads.
inline const PvclockVcpuTimeInfo* no_record() {
    return reinterpret_cast<const PvclockVcpuTimeInfo*>(kvmpv_no_clock_record);
}

// The record that this CPU reads now: its own, or no_record(). Any context.
[[gnu::always_inline]] inline const PvclockVcpuTimeInfo* record_here() {
    return static_cast<const PvclockVcpuTimeInfo*>(x86::this_cpu_load<&kvmpv_cpu.clock_record>());
}
inline const PvclockVcpuTimeInfo* record_read_by(u32 cpu) {
    return static_cast<const PvclockVcpuTimeInfo*>(x86::load(linux_cpu(cpu)->clock_record));
}

extern constinit Setup setup;
extern constinit MonotonicGuard guard;

// Stable reads bypass the guard. This raises it to `now_ns`, which one of them has just returned on
// this CPU: from now on the guard returns nothing below that, as far as it can be believed.
// Interrupts off.
void raise_guard(u64 now_ns);

// ---- How far a CPU's clock can have come ------------------------------------------------------

// How much faster than the rate in its record a host's clock may run: by 1/1024. NTP slews it by
// 500 ppm at most.
inline constexpr u32 kClockRateShift = 10;

// From now on this CPU's clock is checked against its TSC: at `tsc` it showed `now_ns`. On that
// CPU, interrupts off.
inline void set_base(struct kvmpv_cpu& own, u64 tsc, u64 now_ns) {
    own.clock_base_tsc = tsc;
    own.clock_base_ns = now_ns;
}

// The rate for that check. It is the one that the clock had, because the rate in a new record may
// be as wrong as the time. On that CPU, interrupts off.
inline void set_base_rate(struct kvmpv_cpu& own, const ClockSample& sample) {
    own.clock_base_mul = sample.tsc_to_system_mul;
    own.clock_base_shift = sample.tsc_shift;
}

// Ends that check until the next set_base(). On that CPU, or on any while that CPU is offline.
inline void drop_base(struct kvmpv_cpu& own) { set_base(own, 0, 0); }

// The latest time, in ns, that this CPU's clock can show at `tsc`. The largest u64 if no record has
// ever named a rate. On that CPU, interrupts off.
inline u64 latest_ns_at(struct kvmpv_cpu& own, u64 tsc) {
    // Without a base, or with a TSC that was set back, nobody can tell how much time has passed;
    // from now on that can be told again. The clock must not stop for good here: then no timer
    // would expire, and nobody would look again.
    if (own.clock_base_tsc == 0 || static_cast<s64>(tsc - own.clock_base_tsc) < 0)
        set_base(own, tsc, guard.last_ns());
    if (own.clock_base_mul == 0) return std::numeric_limits<u64>::max();
    const u64 elapsed_ns = scale_tsc_delta(tsc - own.clock_base_tsc, own.clock_base_mul,
                                           static_cast<s8>(own.clock_base_shift));
    return saturating_add(own.clock_base_ns,
                          saturating_add(elapsed_ns, elapsed_ns >> kClockRateShift));
}

}  // namespace kvmpv::clock_read
