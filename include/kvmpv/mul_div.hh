// SPDX-License-Identifier: GPL-2.0-only

#pragma once

#include "kvmpv/std.hh"

namespace kvmpv {

// a * b / c, rounded down, with the product in full; the largest u64 where the quotient is beyond
// it. c must not be 0. Bit by bit, because a 128-bit division is a call into a library that a
// kernel has not: for what is looked at, not for what is on the way of a read.
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
