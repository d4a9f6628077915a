// SPDX-License-Identifier: GPL-2.0-only

#pragma once

#include "kvmpv/x86.hh"

namespace kvmpv {

// A look at shared memory from outside the hot paths, for version_read().
struct LiveMemory {
    template <class T>
    static T load(const T& shared) {
        return x86::load(shared);
    }
    static void barrier() { x86::barrier(); }
};

}  // namespace kvmpv
