// SPDX-License-Identifier: GPL-2.0-only
//
// The host's wall clock, read on demand. MSR_KVM_WALL_CLOCK(_NEW) is not a registration: the host
// writes a PvclockWallClock to the given address while it handles the MSR write, and never later.
// Source: msr.rst, MSR_KVM_WALL_CLOCK_NEW.

#pragma once

#include "kvmpv/boundary.h"
#include "kvmpv/cpuid.hh"
#include "kvmpv/result.hh"

namespace kvmpv {

class WallClock {
public:
    // Allocates the area for the host's answer, if the host offers a wall clock. May sleep.
    Result<void> start(const kvmpv_parameters& parameters);
    void stop();

    struct Answer {
        u64 epoch_ns;  // since 1970: the wall time at which the guest's system time was 0
        // Our clocksource is enabled. If not, there is no system time to add, and the rest is 0.
        bool has_now;
        u64 wall_now_ns;
        u64 realtime_ns;  // CLOCK_REALTIME at the same moment
    };

    // -ENODEV if there is no area for an answer; -EIO if the host does not answer, or the answer is
    // torn or makes no sense. Callers wait for each other; sleeps.
    Result<Answer> ask();

private:
    Result<u64> epoch_ns();
    Result<void> write_msr();
    void leave(u64 before);

    linux_area area_{};
    Msr msr_{};
};

extern constinit WallClock wall_clock;

}  // namespace kvmpv
