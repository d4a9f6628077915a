// SPDX-License-Identifier: GPL-2.0-only

#pragma once

#include "boundary.h"
#include "kvmpv/std.hh"

namespace kvmpv {

// Room for `count` of T, all zero, or null. For linux_memory_destroy(). May sleep.
template <class T>
T* allocate(u64 count) {
    return static_cast<T*>(linux_memory_create(count * sizeof(T)));
}

}  // namespace kvmpv
