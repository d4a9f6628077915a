// SPDX-License-Identifier: GPL-2.0-only
// Sums of numbers from a file, which may have any value. A sum that does not fit saturates.
#pragma once

#include <cstdint>
#include <limits>

namespace kvmpv {

inline std::int64_t sum(std::int64_t left, std::int64_t right) {
    std::int64_t result;
    if (!__builtin_add_overflow(left, right, &result)) return result;
    return left < 0 ? std::numeric_limits<std::int64_t>::min()
                    : std::numeric_limits<std::int64_t>::max();
}

}  // namespace kvmpv
