// SPDX-License-Identifier: GPL-2.0-only
//
// Who lost the time? A table of fixed size that charges nanoseconds to tasks or cgroups, where
// nothing can be allocated and no lock taken. If there is no room for somebody, the time is charged
// to "others", so that the parts always add up to the whole.

#pragma once

#include "kvmpv/std.hh"

namespace kvmpv {

// Somebody who can be charged. It may carry more than its identity, such as a name to show; the
// last charge decides what that is.
template <class T>
concept Chargeable = requires(const T& who, const T& other) {
    // The same one.
    { who.same(other) } -> std::same_as<bool>;
    // Equal for those that are the same.
    { who.hash() } -> std::same_as<u64>;
    // Any total order in which those that are the same are equal.
    { who.before(other) } -> std::same_as<bool>;
};

template <Chargeable Who>
struct Charge {
    Who who;
    u64 ns;  // 0: nobody's
};

// Memory of zeros is an empty table. Takes no lock: one writer at a time, and no reader meanwhile.
template <Chargeable Who, u32 kSize>
class ChargeTable {
    static_assert(std::has_single_bit(kSize), "charge() masks the hash");

public:
    // How many places a charge looks at, at most.
    static constexpr u32 kProbes = kSize < 16 ? kSize : 16;

    // Charges `ns` to `who`, or to the others if its places are taken. Never sleeps; any context
    // that the table's owner allows.
    void charge(const Who& who, u64 ns) {
        if (!ns) return;
        const u64 hash = who.hash();
        for (u32 probe = 0; probe < kProbes; ++probe) {
            Charge<Who>& at = charges_[(hash + probe) & (kSize - 1)];
            if (at.ns && !at.who.same(who)) continue;
            at.who = who;
            at.ns += ns;
            return;
        }
        other_ns_ += ns;
    }

    u64 other_ns() const { return other_ns_; }

    // Copies all charges to `out`, which has room for kSize. Returns how many there are.
    u32 copy_to(Charge<Who>* out) const {
        u32 count = 0;
        for (const Charge<Who>& charge : charges_)
            if (charge.ns) out[count++] = charge;
        return count;
    }

private:
    std::array<Charge<Who>, kSize> charges_{};
    u64 other_ns_ = 0;
};

// Called again and again during what takes long: the thread may let another one run there.
template <class T>
concept Pause = std::invocable<T>;
struct NoPause {
    void operator()() const {}
};

// Sorts `items` by before(a, b), in place, without recursion and without other memory. Pauses
// after every kSortSteps elements.
inline constexpr u32 kSortSteps = 256;
template <class T, class Before, Pause Pausing = NoPause>
void heap_sort(T* items, u32 count, Before&& before, Pausing&& pause = {}) {
    const auto sift_down = [&](u32 at, u32 end) {
        while (2 * at + 1 < end) {
            u32 child = 2 * at + 1;
            if (child + 1 < end && before(items[child], items[child + 1])) ++child;
            if (!before(items[at], items[child])) return;
            std::swap(items[at], items[child]);
            at = child;
        }
    };
    for (u32 at = count / 2; at-- > 0;) {
        sift_down(at, count);
        if (at % kSortSteps == 0) pause();
    }
    for (u32 end = count; end-- > 1;) {
        std::swap(items[0], items[end]);
        sift_down(0, end);
        if (end % kSortSteps == 0) pause();
    }
}

// Adds up the charges to the same one, and sorts: whoever lost most comes first. Returns how many
// charges are left.
template <Chargeable Who, Pause Pausing = NoPause>
u32 merge_charges(Charge<Who>* charges, u32 count, Pausing&& pause = {}) {
    heap_sort(
        charges, count, [](const auto& a, const auto& b) { return a.who.before(b.who); }, pause);
    u32 merged = 0;
    for (u32 at = 0; at < count; ++at) {
        if (merged && charges[merged - 1].who.same(charges[at].who))
            charges[merged - 1].ns += charges[at].ns;
        else
            charges[merged++] = charges[at];
    }
    heap_sort(
        charges, merged,
        [](const auto& a, const auto& b) {
            return a.ns != b.ns ? a.ns > b.ns : a.who.before(b.who);
        },
        pause);
    return merged;
}

}  // namespace kvmpv
