// SPDX-License-Identifier: GPL-2.0-only

#pragma once

#include "kvmpv/std.hh"

namespace kvmpv {

// a * b / c, rounded down. The product is exact (128 bits). Returns the largest u64 if the quotient
// does not fit. `c` must not be 0.
//
// It divides bit by bit: g++ turns a 128-bit division into a call of libgcc, which the kernel does
// not have. Slow, so it is for views and the sampler and not for a clock read. Any context.
constexpr u64 mul_div(u64 a, u64 b, u64 c) {
    const u128 product = static_cast<u128>(a) * b;
    u128 rest = product >> 64;
    if (rest >= c) return std::numeric_limits<u64>::max();
    u64 quotient = 0;
    for (int bit = 63; bit >= 0; --bit) {
        rest = rest << 1 | (static_cast<u64>(product) >> bit & 1);
        quotient <<= 1;
        if (rest >= c) {
            rest -= c;
            quotient |= 1;
        }
    }
    return quotient;
}

}  // namespace kvmpv
