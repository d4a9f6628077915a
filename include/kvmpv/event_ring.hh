// SPDX-License-Identifier: GPL-2.0-only
//
// A ring of fixed size that holds the latest entries of an endless log. Every entry has a sequence
// number, so a reader can tell which entries it has missed.
//
// The ring takes no lock. Its owner serialises all calls, one call at a time. That is enough for
// readers, too: whoever asks for the next number either gets that entry or learns that it has been
// overwritten since. Any context that the owner's lock allows.

#pragma once

#include "kvmpv/std.hh"

namespace kvmpv {

template <class Entry, u32 kSize = 256>
class EventRing {
    static_assert(std::has_single_bit(kSize), "at() and append() mask the sequence number");

public:
    // Overwrites the oldest entry if the ring is full. Returns the new entry's sequence number:
    // 1, 2, 3 …
    u64 append(const Entry& entry) {
        entries_[++last_ & (kSize - 1)] = entry;
        return last_;
    }

    // How many entries were ever appended; also the sequence number of the latest one.
    u64 total() const { return last_; }

    // The sequence number of the oldest entry that is still there; 1 while there is none.
    u64 oldest() const { return last_ > kSize ? last_ - kSize + 1 : 1; }

    // How many entries have been overwritten.
    u64 lost() const { return oldest() - 1; }

    // Nothing for a number whose entry has been overwritten or not been appended yet.
    std::optional<Entry> at(u64 sequence) const {
        if (sequence < oldest() || sequence > last_) return std::nullopt;
        return entries_[sequence & (kSize - 1)];
    }

private:
    std::array<Entry, kSize> entries_{};
    u64 last_ = 0;
};

}  // namespace kvmpv
