// SPDX-License-Identifier: GPL-2.0-only
//
// Error messages for the kernel log.

#pragma once

#include "kvmpv/boundary.h"
#include "kvmpv/result.hh"

namespace kvmpv {

// "WHAT: error ERRNO"
void log_error(const char* what, Error error);

// "FEATURE: WHAT on CPU N: error ERRNO"
void log_cpu_error(const char* feature, const char* what, u32 cpu, Error error);

}  // namespace kvmpv
