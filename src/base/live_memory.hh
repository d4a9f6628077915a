// SPDX-License-Identifier: GPL-2.0-only

#pragma once

#include "kvmpv/x86.hh"

namespace kvmpv {

// Reads shared memory for version_read(), outside the hot paths. Any context.
struct LiveMemory {
    template <class T>
    static T load(const T& shared) {
        return x86::load(shared);
    }
    static void barrier() { x86::barrier(); }
};

}  // namespace kvmpv
