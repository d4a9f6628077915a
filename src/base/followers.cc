// SPDX-License-Identifier: GPL-2.0-only

#include "base/followers.hh"

#include "base/mutex.hh"

namespace kvmpv {

namespace {

// The follower that follow_cpus() is adding now. There is only one at a time, by a mutex: two
// switches may be written at once.
constinit u32 beginner = KVMPV_NUM_FOLLOWERS;

}  // namespace

Result<void> follow_cpus(kvmpv_follower follower) {
    const MutexLock lock(KVMPV_MUTEX_FOLLOWERS);
    __atomic_store_n(&beginner, follower, __ATOMIC_RELAXED);
    const Result<void> done = Result<void>::from_errno(linux_hotplug_enable(follower));
    __atomic_store_n(&beginner, u32{KVMPV_NUM_FOLLOWERS}, __ATOMIC_RELAXED);
    return done;
}

void leave_cpus(kvmpv_follower follower) { linux_hotplug_disable(follower); }

bool begins_to_follow(u32 follower) {
    return __atomic_load_n(&beginner, __ATOMIC_RELAXED) == follower;
}

}  // namespace kvmpv
