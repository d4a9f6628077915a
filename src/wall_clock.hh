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

    // The wall time, in nanoseconds since 1970, at which the guest's system time was 0. -EIO if the
    // host does not answer or answers with a torn record. Any number of callers at once; sleeps.
    Result<u64> epoch_ns();

private:
    Result<void> ask();
    void leave(u64 before);

    linux_area area_{};
    Msr msr_{};
};

extern constinit WallClock wall_clock;

}  // namespace kvmpv
