// SPDX-License-Identifier: GPL-2.0-only

#pragma once

#include "kvmpv/boundary.h"

namespace kvmpv {

// No interrupt on this CPU, and no other CPU for this thread, for as long as it lives.
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
