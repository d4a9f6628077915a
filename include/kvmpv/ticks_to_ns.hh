// SPDX-License-Identifier: GPL-2.0-only
//
// TSC ticks in nanoseconds, by the rate that the kernel has measured.

#pragma once

#include "kvmpv/std.hh"

namespace kvmpv {

// Exact to 1 part in 2^32 for a TSC above 1 MHz; saturates.
class TicksToNs {
public:
    constexpr TicksToNs() = default;
    // `tsc_khz` is not 0.
    explicit constexpr TicksToNs(u32 tsc_khz) : ns_by_2_32_((u64{1'000'000} << 32) / tsc_khz) {}

    constexpr u64 operator()(u64 ticks) const {
        const u128 ns = (u128{ticks} * ns_by_2_32_) >> 32;
        return ns >> 64 ? ~u64{0} : static_cast<u64>(ns);
    }

private:
    u64 ns_by_2_32_ = 0;
};

}  // namespace kvmpv
