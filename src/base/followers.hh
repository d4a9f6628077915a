// SPDX-License-Identifier: GPL-2.0-only

#pragma once

#include "kvmpv/boundary.h"
#include "kvmpv/result.hh"

namespace kvmpv {

// From now on the CPUs that are online, and those that come, are given to `follower`. A CPU that
// cannot be given to it now is an error, and all have gone from it again; one that comes later has
// to do without.
Result<void> follow_cpus(kvmpv_follower follower);

// The reverse, for all that are online.
void leave_cpus(kvmpv_follower follower);

// follow_cpus() is at work for this one.
bool begins_to_follow(u32 follower);

}  // namespace kvmpv
