// SPDX-License-Identifier: GPL-2.0-only

#pragma once

#include "kvmpv/boundary.h"

namespace kvmpv {

// Holds a mutex while this object lives, so that only one thread at a time asks for or changes what
// `which` guards. May sleep. Taken before CpusLock.
class MutexLock {
public:
    explicit MutexLock(kvmpv_mutex which) : which_(which) { linux_mutex_lock(which_); }
    ~MutexLock() { linux_mutex_unlock(which_); }
    MutexLock(const MutexLock&) = delete;
    MutexLock& operator=(const MutexLock&) = delete;

private:
    const kvmpv_mutex which_;
};

}  // namespace kvmpv
