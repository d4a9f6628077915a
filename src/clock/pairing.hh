// SPDX-License-Identifier: GPL-2.0-only
//
// The host's CLOCK_REALTIME and the guest's TSC at the same moment, by KVM_HC_CLOCK_PAIRING. Each
// ask() is one hypercall. Nothing is registered, so nothing has to be undone: the host writes its
// answer while it handles the hypercall, and never later. Source: hypercalls.rst.

#pragma once

#include "boundary.h"
#include "kvmpv/clock_pairing.hh"
#include "kvmpv/result.hh"

namespace kvmpv {

class Pairing {
public:
    // Allocates the area for the host's answers. May sleep.
    Result<void> start(const kvmpv_parameters& parameters);
    void stop();

    struct Answer {
        PairingLook look;
        std::optional<u64> clock_ns;  // what our clock showed at look.tsc
    };

    // -ENOMEM if there is no area for an answer. One caller at a time, the others wait. May sleep.
    Result<Answer> ask();

    // How many answers were refused since load, and why the last one was.
    u64 refused() const { return __atomic_load_n(&refused_, __ATOMIC_RELAXED); }
    PairingFault last_fault() const { return __atomic_load_n(&last_fault_, __ATOMIC_RELAXED); }

private:
    linux_area area_{};
    u64 refused_ = 0;
    PairingFault last_fault_ = PairingFault::kNone;
};

extern constinit Pairing pairing;

}  // namespace kvmpv
