// SPDX-License-Identifier: GPL-2.0-only

#pragma once

#include "kvmpv/boundary.h"

namespace kvmpv {

// One asks at a time for what is gathered, or changed, on demand and not in an instant. May sleep;
// taken before CpusLock.
class AskLock {
public:
    AskLock() { linux_ask_lock(); }
    ~AskLock() { linux_ask_unlock(); }
    AskLock(const AskLock&) = delete;
    AskLock& operator=(const AskLock&) = delete;
};

}  // namespace kvmpv
