// SPDX-License-Identifier: GPL-2.0-only
//
// Who lost the time? A table of fixed size in which stolen nanoseconds are charged, where nothing
// can be allocated and nobody waited for. Whoever finds no place is charged as one of the others,
// so that the parts always make the whole.
//
// A Who says whom it is: `bool same(const Who&)`, `u64 hash()`, `bool before(const Who&)`, some
// order; and it may carry what is only shown, which the last charge wins.

#pragma once

#include "kvmpv/std.hh"

namespace kvmpv {

template <class Who>
struct StealCharge {
    Who who;
    u64 ns;  // 0: a free place
};

// One writer; zeros are an empty one.
template <class Who, u32 kSize>
class StealTable {
    static_assert(std::has_single_bit(kSize), "the place of a hash is a mask away");

public:
    using Charge = StealCharge<Who>;
    // A charge looks at no more places than these.
    static constexpr u32 kProbes = kSize < 16 ? kSize : 16;

    void charge(const Who& who, u64 ns) {
        if (!ns) return;
        const u64 hash = who.hash();
        for (u32 probe = 0; probe < kProbes; ++probe) {
            Charge& at = charges_[(hash + probe) & (kSize - 1)];
            if (at.ns && !at.who.same(who)) continue;
            at.who = who;
            at.ns += ns;
            return;
        }
        other_ns_ += ns;
    }

    u64 other_ns() const { return other_ns_; }

    // Copies all charges to `out`, which has room for kSize, and says how many there are.
    u32 copy_to(Charge* out) const {
        u32 count = 0;
        for (const Charge& charge : charges_)
            if (charge.ns) out[count++] = charge;
        return count;
    }

private:
    std::array<Charge, kSize> charges_{};
    u64 other_ns_ = 0;
};

// In place, with neither recursion nor memory.
template <class T, class Before>
void heap_sort(T* items, u32 count, Before&& before) {
    const auto sift_down = [&](u32 at, u32 end) {
        while (2 * at + 1 < end) {
            u32 child = 2 * at + 1;
            if (child + 1 < end && before(items[child], items[child + 1])) ++child;
            if (!before(items[at], items[child])) return;
            std::swap(items[at], items[child]);
            at = child;
        }
    };
    for (u32 at = count / 2; at-- > 0;) sift_down(at, count);
    for (u32 end = count; end-- > 1;) {
        std::swap(items[0], items[end]);
        sift_down(0, end);
    }
}

// Makes one charge of several for the same one, and puts those who lost most first. Returns how
// many are left.
template <class Who>
u32 merge_charges(StealCharge<Who>* charges, u32 count) {
    heap_sort(charges, count, [](const auto& a, const auto& b) { return a.who.before(b.who); });
    u32 merged = 0;
    for (u32 at = 0; at < count; ++at) {
        if (merged && charges[merged - 1].who.same(charges[at].who))
            charges[merged - 1].ns += charges[at].ns;
        else
            charges[merged++] = charges[at];
    }
    heap_sort(charges, merged, [](const auto& a, const auto& b) {
        return a.ns != b.ns ? a.ns > b.ns : a.who.before(b.who);
    });
    return merged;
}

}  // namespace kvmpv
