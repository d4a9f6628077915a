// SPDX-License-Identifier: GPL-2.0-only
//
// The host's wall clock, asked on demand: MSR_KVM_WALL_CLOCK(_NEW) is no registration. The host
// writes a PvclockWallClock at the given address while it handles the MSR write, and nowhere later.
// Source: msr.rst, MSR_KVM_WALL_CLOCK_NEW.

#pragma once

#include "kvmpv/boundary.h"
#include "kvmpv/cpuid.hh"
#include "kvmpv/result.hh"

namespace kvmpv {

class WallClock {
public:
    // Allocates the area that the host answers in, where it offers a wall clock.
    Result<void> start(const kvmpv_parameters& parameters);
    void stop();

    struct Answer {
        u64 epoch_ns;  // the wall time, since 1970, at which the guest's system time was 0
        // When no clocksource is registered there is no system time to add.
        bool has_now;
        u64 wall_now_ns;
        u64 realtime_ns;  // what the kernel has at the same moment
    };

    // -EIO if the host does not answer or answers with a torn record. Any number of callers at
    // once; sleeps.
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
