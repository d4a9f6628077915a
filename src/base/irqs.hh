// SPDX-License-Identifier: GPL-2.0-only

#pragma once

#include "kvmpv/boundary.h"

namespace kvmpv {

// Disables interrupts on this CPU while this object lives, so that the thread stays on the CPU,
// too. Any context.
class IrqsOff {
public:
    IrqsOff() : state_(linux_irqs_off()) {}
    ~IrqsOff() { linux_irqs_on(state_); }
    IrqsOff(const IrqsOff&) = delete;
    IrqsOff& operator=(const IrqsOff&) = delete;

private:
    u64 state_;
};

}  // namespace kvmpv
