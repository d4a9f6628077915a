// SPDX-License-Identifier: GPL-2.0-only
//
// How far another clock has advanced between two looks, compared with ours: offset and rate, each
// with an error bound. Nothing is averaged, because two looks far apart beat many close ones. Any
// context.

#pragma once

#include "kvmpv/mul_div.hh"

namespace kvmpv {

// How a counter counts. One tick is ns_numerator / ns_denominator ns, neither of which is 0. After
// `modulus` ticks the counter is 0 again; a modulus of 0 means that it does not wrap.
struct Counter {
    u64 ns_numerator;
    u64 ns_denominator;
    u64 modulus;
};

// A counter's value, and our time in ns right before and right after it was read.
struct ClockLook {
    u64 count;
    u64 before_ns;
    u64 after_ns;

    constexpr u64 middle_ns() const { return before_ns + (after_ns - before_ns) / 2; }
    // The counter was read at middle_ns(), plus or minus this.
    constexpr u64 error_ns() const { return (after_ns - before_ns + 1) / 2; }
};

struct Drift {
    u64 elapsed_ns;  // by our clock; more than 0
    s64 offset_ns;   // the other clock has advanced by this much more than ours
    u64 error_ns;    // error bound of offset_ns
    s64 rate_ppb;    // offset_ns per elapsed_ns, in parts per billion
    u64 error_ppb;   // error bound of rate_ppb
};

namespace drift_detail {

// The ticks between two looks at a counter that wraps. How often it has wrapped is not known, so
// the count nearest to what our clock expects is taken. A difference of half the counter's range or
// more cannot be told from a smaller one.
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

// The drift from `first` to `last`. Nothing if our own clock stood still or ran backward between
// the two looks or during the second. Saturates.
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
        // A counter that does not wrap goes back only if somebody sets it, as with a real-time
        // clock.
        went_back = last.count < first.count;
        ticks = went_back ? first.count - last.count : last.count - first.count;
    }
    const u64 theirs_ns = mul_div(ticks, counter.ns_numerator, counter.ns_denominator);

    // How far the two clocks are apart, and whether theirs is behind ours.
    const bool behind = went_back || theirs_ns < elapsed_ns;
    u64 distance_ns = behind ? elapsed_ns - theirs_ns : theirs_ns - elapsed_ns;
    if (went_back && __builtin_add_overflow(elapsed_ns, theirs_ns, &distance_ns))
        distance_ns = std::numeric_limits<u64>::max();

    // The errors of both looks, and one tick, because a counter shows a tick only when it is over.
    const u64 tick_ns = (counter.ns_numerator - 1) / counter.ns_denominator + 1;
    const u64 error_ns = first.error_ns() + last.error_ns() + tick_ns;
    constexpr u64 kBillion = 1'000'000'000;
    return Drift{elapsed_ns, drift_detail::saturated(behind, distance_ns), error_ns,
                 drift_detail::saturated(behind, mul_div(distance_ns, kBillion, elapsed_ns)),
                 mul_div(error_ns, kBillion, elapsed_ns) + 1};
}

}  // namespace kvmpv
