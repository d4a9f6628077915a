// SPDX-License-Identifier: GPL-2.0-only
//
// What happens when CPUs come and go, when the machine sleeps and when it restarts: whom the kernel
// tells, and in which order.

#pragma once

#include "kvmpv/result.hh"

namespace kvmpv::lifecycle {

// Before the first feature and after the last one. CPUs are followed by each feature on its own
// account, from its enable() to its disable().
Result<void> enable();
void disable();

}  // namespace kvmpv::lifecycle
