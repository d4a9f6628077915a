// SPDX-License-Identifier: GPL-2.0-only
//
// What the read callbacks need and the clock's controller sets.

#pragma once

#include "kvmpv/pvclock.hh"

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
};

extern constinit Setup setup;
extern constinit MonotonicGuard guard;

}  // namespace kvmpv::clock_read
