// SPDX-License-Identifier: GPL-2.0-only
//
// A histogram of fixed size for values of any magnitude, such as latencies in ns. Each power of two
// is divided into the same number of equal buckets ("log-linear"). So a percentile is off by at
// most a fixed fraction of itself, whatever the values are.

#pragma once

#include "kvmpv/std.hh"

namespace kvmpv {

// Each power of two has 2^kSubBits buckets. Values of 2^kTopBits and more are counted in the last
// bucket.
//
// percentile() is never below the true percentile. It is above it by less than 1/2^kSubBits of it,
// as long as that is below 2^kTopBits. Values below 2^(kSubBits + 1) are exact.
//
// Memory of zeros is an empty histogram. Takes no lock: one writer at a time, and no reader
// meanwhile. Any context.
template <u32 kSubBits, u32 kTopBits>
class LogLinearHistogram {
    static_assert(kSubBits > 0 && kSubBits < kTopBits && kTopBits < 64);

public:
    // The values below 2^kSubBits have a bucket each, and fill the first row.
    static constexpr u32 kPerRow = u32{1} << kSubBits;
    static constexpr u32 kBuckets = (kTopBits - kSubBits + 1) * kPerRow;

    static constexpr u32 bucket_of(u64 value) {
        if (value < kPerRow) return static_cast<u32>(value);
        if (value >> kTopBits) return kBuckets - 1;
        const u32 shift = static_cast<u32>(std::bit_width(value)) - 1 - kSubBits;
        return shift * kPerRow + static_cast<u32>(value >> shift);
    }

    // The largest value that is counted in `bucket`.
    static constexpr u64 highest_of(u32 bucket) {
        if (bucket == kBuckets - 1) return std::numeric_limits<u64>::max();
        if (bucket < kPerRow) return bucket;
        const u32 shift = bucket / kPerRow - 1;
        return ((u64{bucket % kPerRow + kPerRow} + 1) << shift) - 1;
    }

    // The smallest one.
    static constexpr u64 lowest_of(u32 bucket) { return bucket ? highest_of(bucket - 1) + 1 : 0; }

    void add(u64 value) {
        ++counts_[bucket_of(value)];
        ++count_;
        if (value > largest_) largest_ = value;
    }

    u64 count() const { return count_; }
    u64 count_in(u32 bucket) const { return counts_[bucket]; }

    // The smallest value that at least `percent` percent of all values do not exceed, rounded up to
    // what its bucket can hold, but not above the largest value. 0 if there are no values.
    u64 percentile(u32 percent) const {
        // Rounded up, without an overflow for any count.
        const u64 wanted = count_ / 100 * percent + (count_ % 100 * percent + 99) / 100;
        u64 seen = 0;
        for (u32 bucket = 0; bucket < kBuckets; ++bucket) {
            seen += counts_[bucket];
            if (!seen || seen < wanted) continue;
            const u64 highest = highest_of(bucket);
            return highest < largest_ ? highest : largest_;
        }
        return largest_;
    }

private:
    std::array<u64, kBuckets> counts_{};
    u64 count_ = 0;
    u64 largest_ = 0;
};

}  // namespace kvmpv
