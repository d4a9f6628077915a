// SPDX-License-Identifier: GPL-2.0-only
//
// Compares our clock with the guest's other clocks: the devices of timekeeping.rst, the TSC, the
// kernel's raw clock and, by hypercall, the host's CLOCK_REALTIME. Reading a device costs an exit
// to the hypervisor, and for many devices an exit to a process on the host. So each is read once at
// load and once per look, and never in between.

#pragma once

#include "boundary.h"
#include "kvmpv/drift.hh"
#include "kvmpv/result.hh"

namespace kvmpv {

enum class OtherClock : u8 { kTsc, kHpet, kAcpiPm, kRtc, kMonotonicRaw, kHostRealtime };
inline constexpr u32 kNumOtherClocks = 6;

const char* other_clock_name(OtherClock which);

class OtherClocks {
public:
    // Finds the clocks, maps the HPET, and looks at each clock for the first time. A clock that is
    // missing stays missing. Does nothing unless the clocksource is enabled, because there is
    // nothing to compare with then. Never fails. May sleep.
    Result<void> start(const kvmpv_parameters& parameters);
    void stop();

    // After suspend, which may restart counters: the next look counts as the first. Any context.
    void resume(u32) { __atomic_store_n(&forgotten_, true, __ATOMIC_RELAXED); }

    // What look() finds: one look at each clock that is present.
    struct Answer {
        int present;  // 0, or the negative errno of the clock's absence
        Counter counter;
        u64 read_ns;                 // the time to read it, including our two reads around it
        std::optional<Drift> drift;  // nothing at the first look
    };
    struct Answers {
        std::array<Answer, kNumOtherClocks> of;
        u64 own_read_ns;  // the time for two reads of our clock in a row
        u64 cpuid_ns;     // the same with a CPUID in between, which is exactly one exit

        // What reading a clock costs beyond our two reads around it, in CPUIDs, rounded.
        u64 cost_in_cpuids(u64 read_ns) const;
    };
    // Returns false if our clocksource is not enabled, so that there is nothing to compare with.
    // Callers wait for each other; sleeps.
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
