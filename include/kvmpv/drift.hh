// SPDX-License-Identifier: GPL-2.0-only
//
// How far another clock has gone while ours went from one look to the next: offset and rate, with a
// bound of the error. Nothing is averaged: two looks that lie far apart are better than many.

#pragma once

#include "kvmpv/mul_div.hh"

namespace kvmpv {

// What a counter's ticks mean: one is ns_numerator / ns_denominator ns, and after `modulus` of them
// it is 0 again; a modulus of 0 says never.
struct Counter {
    u64 ns_numerator;
    u64 ns_denominator;
    u64 modulus;
};

// A counter's value, and our time right before and after it was read.
struct ClockLook {
    u64 count;
    u64 before_ns;
    u64 after_ns;

    constexpr u64 middle_ns() const { return before_ns + (after_ns - before_ns) / 2; }
    // The counter was read at middle_ns(), give or take this.
    constexpr u64 error_ns() const { return (after_ns - before_ns + 1) / 2; }
};

struct Drift {
    u64 elapsed_ns;  // by our clock, more than 0
    s64 offset_ns;   // the other clock has gone this much further
    u64 error_ns;    // give or take this
    s64 rate_ppb;    // the same, per elapsed time
    u64 error_ppb;
};

namespace drift_detail {

// The ticks between two looks. A counter that wraps is taken to be where it is nearest to what our
// clock expects, so a difference of half its range or more cannot be told from a smaller one.
constexpr u64 ticks_between(const Counter& counter, u64 first, u64 last, u64 expected) {
    const u64 least = last >= first ? last - first : counter.modulus - (first - last);
    if (expected <= least) return least;
    const u64 wraps = (expected - least + counter.modulus / 2) / counter.modulus;
    return least + wraps * counter.modulus;
}

constexpr s64 saturated(bool negative, u64 magnitude) {
    constexpr u64 kMost = static_cast<u64>(std::numeric_limits<s64>::max());
    const s64 bounded = static_cast<s64>(magnitude < kMost ? magnitude : kMost);
    return negative ? -bounded : bounded;
}

}  // namespace drift_detail

// Nothing where our own clock has not gone on, or ran backward, between the looks.
constexpr std::optional<Drift> drift(const Counter& counter, const ClockLook& first,
                                     const ClockLook& last) {
    if (last.before_ns <= first.after_ns || last.after_ns < last.before_ns) return std::nullopt;
    const u64 elapsed_ns = last.middle_ns() - first.middle_ns();

    bool went_back = false;
    u64 ticks;
    if (counter.modulus) {
        const u64 expected = mul_div(elapsed_ns, counter.ns_denominator, counter.ns_numerator);
        ticks = drift_detail::ticks_between(counter, first.count, last.count, expected);
    } else {
        // Somebody has set it.
        went_back = last.count < first.count;
        ticks = went_back ? first.count - last.count : last.count - first.count;
    }
    const u64 theirs_ns = mul_div(ticks, counter.ns_numerator, counter.ns_denominator);

    // The distance between the two, and on which side of ours theirs is.
    const bool behind = went_back || theirs_ns < elapsed_ns;
    u64 distance_ns = behind ? elapsed_ns - theirs_ns : theirs_ns - elapsed_ns;
    if (went_back && __builtin_add_overflow(elapsed_ns, theirs_ns, &distance_ns))
        distance_ns = std::numeric_limits<u64>::max();

    // Both looks, and a tick: a counter shows none before it is over.
    const u64 tick_ns = (counter.ns_numerator - 1) / counter.ns_denominator + 1;
    const u64 error_ns = first.error_ns() + last.error_ns() + tick_ns;
    constexpr u64 kBillion = 1'000'000'000;
    return Drift{elapsed_ns, drift_detail::saturated(behind, distance_ns), error_ns,
                 drift_detail::saturated(behind, mul_div(distance_ns, kBillion, elapsed_ns)),
                 mul_div(error_ns, kBillion, elapsed_ns) + 1};
}

}  // namespace kvmpv
