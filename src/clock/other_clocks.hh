// SPDX-License-Identifier: GPL-2.0-only
//
// Our clock against the others that the guest has: the devices of timekeeping.rst, the TSC and the
// kernel's raw clock. Reading a device costs an exit to the hypervisor, and many of them an exit to
// a process of the host's, so each is read once at load and once per look, and never in between.

#pragma once

#include "kvmpv/boundary.h"
#include "kvmpv/drift.hh"
#include "kvmpv/result.hh"

namespace kvmpv {

enum class OtherClock : u8 { kTsc, kHpet, kAcpiPm, kRtc, kMonotonicRaw };
inline constexpr u32 kNumOtherClocks = 5;

const char* other_clock_name(OtherClock which);

class OtherClocks {
public:
    // Finds the clocks, maps the HPET, and looks at each for the first time. What is missing stays
    // missing. Only where the clocksource is enabled; without it there is nothing to hold against.
    Result<void> start(const kvmpv_parameters& parameters);
    void stop();

    // After suspend, where counters begin anew: the next look is the first. Any context.
    void resume(u32) { __atomic_store_n(&forgotten_, true, __ATOMIC_RELAXED); }

    // One look at each clock that is there. Any number of callers, one after the other; sleeps.
    struct Answer {
        int present;  // 0, or the negative errno of the clock's absence
        Counter counter;
        u64 read_ns;                 // what reading it took, our two reads around it included
        std::optional<Drift> drift;  // nothing at the first look
    };
    struct Answers {
        std::array<Answer, kNumOtherClocks> of;
        u64 own_read_ns;  // two reads of our clock in a row
        u64 cpuid_ns;     // and with a CPUID between them, which is one exit for certain

        // What reading a clock costs beyond our two reads around it, in CPUIDs, rounded.
        u64 cost_in_cpuids(u64 read_ns) const;
    };
    // False if there is no clock of ours to hold against them.
    bool look(Answers& answers);

private:
    struct Known {
        int present = -kEnodev;
        Counter counter{};
        ClockLook first{};
        bool has_first = false;
    };

    std::array<Known, kNumOtherClocks> known_{};
    bool forgotten_ = false;
};

extern constinit OtherClocks other_clocks;

}  // namespace kvmpv
