// SPDX-License-Identifier: GPL-2.0-only

#pragma once

#include "kvmpv/boundary.h"
#include "kvmpv/result.hh"

namespace kvmpv {

// Calls the CPU hotplug callbacks of `follower` from now on: at once for every CPU that is online,
// and later for every CPU that comes online. If a callback fails for a CPU that is online now, this
// returns the error, and the follower has let go of all CPUs again. If one fails for a CPU that
// comes online later, that CPU comes online without the feature. May sleep.
Result<void> follow_cpus(kvmpv_follower follower);

// Undoes follow_cpus(): the follower lets go of every online CPU. May sleep.
void leave_cpus(kvmpv_follower follower);

// follow_cpus(follower) is running. Any context.
bool begins_to_follow(u32 follower);

}  // namespace kvmpv
