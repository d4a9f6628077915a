// SPDX-License-Identifier: GPL-2.0-only

#pragma once

#include "kvmpv/boundary.h"

namespace kvmpv {

// One asks for what has to be gathered or changed on several CPUs, and no other meanwhile. May
// sleep; before CpusLock.
class AskLock {
public:
    AskLock() { linux_ask_lock(); }
    ~AskLock() { linux_ask_unlock(); }
    AskLock(const AskLock&) = delete;
    AskLock& operator=(const AskLock&) = delete;
};

}  // namespace kvmpv
