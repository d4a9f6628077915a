// SPDX-License-Identifier: GPL-2.0-only

#pragma once

#include "base/memory.hh"
#include "boundary.h"
#include "kvmpv/name.hh"
#include "kvmpv/result.hh"

namespace kvmpv {

// The paths of cgroups, one at a time. Cgroups nest, so no length is enough for all.
class CgroupPaths {
public:
    CgroupPaths() = default;
    ~CgroupPaths() { linux_memory_destroy(text_); }
    CgroupPaths(const CgroupPaths&) = delete;
    CgroupPaths& operator=(const CgroupPaths&) = delete;

    // Empty if the cgroup is gone, or there is no memory for its path. Valid until the next one.
    Name of(u64 id) {
        int error = -kEnametoolong;
        while (error == -kEnametoolong && (size_ || grow())) {
            error = linux_cgroup_path(id, text_, size_);
            if (error == -kEnametoolong && !grow()) break;
        }
        return {text_, error ? 0 : size_};
    }

private:
    bool grow() {
        constexpr u32 kFirst = 4096;
        constexpr u32 kMost = 1 << 20;
        if (size_ == kMost) return false;
        const u32 size = size_ ? 2 * size_ : kFirst;
        auto* const text = allocate<char>(size);
        if (!text) return false;
        linux_memory_destroy(text_);
        text_ = text;
        size_ = size;
        return true;
    }

    char* text_ = nullptr;
    u32 size_ = 0;
};

}  // namespace kvmpv
