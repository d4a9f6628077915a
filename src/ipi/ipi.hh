// SPDX-License-Identifier: GPL-2.0-only
//
// Counts the kernel's function calls to several CPUs at once. The kernel may make KVM_HC_SEND_IPI
// for them. Off by default, because it costs something at each call.

#pragma once

#include "boundary.h"
#include "kvmpv/result.hh"

namespace kvmpv {

class IpiCalls {
public:
    // Counts from the start if the parameter says so. May sleep.
    Result<void> start(const kvmpv_parameters& parameters);
    void stop();

    // true: counts, from 0. -ENODEV if the kernel has no such tracepoint. May sleep.
    Result<void> count(bool on);
    bool counts() const { return counts_; }

private:
    bool counts_ = false;
};

extern constinit IpiCalls ipi_calls;

}  // namespace kvmpv
