// SPDX-License-Identifier: GPL-2.0-only
//
// The last entries of a log that never stops: a ring of fixed size in which every entry has a
// sequence number, so that a reader can tell what it has missed.
//
// Several writers and readers share one ring under a lock of their owner's, taken for one call at a
// time. That is enough: a reader that comes back for the next number either finds it or learns that
// it has been overwritten in between.

#pragma once

#include "kvmpv/std.hh"

namespace kvmpv {

template <class Entry, u32 kSize = 256>
class EventRing {
    static_assert(std::has_single_bit(kSize), "the place of a number is a mask away");

public:
    // Returns the entry's sequence number: 1, 2, 3 …
    u64 append(const Entry& entry) {
        entries_[++last_ & (kSize - 1)] = entry;
        return last_;
    }

    // How many were ever appended; also the number of the last one.
    u64 total() const { return last_; }

    // The number of the oldest entry that is still there; total() + 1 if there is none.
    u64 oldest() const { return last_ > kSize ? last_ - kSize + 1 : 1; }

    // How many have been overwritten.
    u64 lost() const { return oldest() - 1; }

    // Nothing for a number that has been overwritten, or not been given yet.
    std::optional<Entry> at(u64 sequence) const {
        if (sequence < oldest() || sequence > last_) return std::nullopt;
        return entries_[sequence & (kSize - 1)];
    }

private:
    std::array<Entry, kSize> entries_{};
    u64 last_ = 0;
};

}  // namespace kvmpv
