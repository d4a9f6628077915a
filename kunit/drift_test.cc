// SPDX-License-Identifier: GPL-2.0-only
//
// drift.hh and mul_div.hh: how far another clock has advanced, to the nanosecond, at wraps and
// limits.

#include "kvmpv/drift.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

constexpr u64 kMost = std::numeric_limits<u64>::max();
constexpr u64 kSecond = 1'000'000'000;

constexpr Counter kNanoseconds{1, 1, 0};
constexpr Counter kAcpiPm{kSecond, 3'579'545, 1 << 24};  // wraps after 4.68 s
constexpr Counter kHpet{10'000'000, 1'000'000, u64{1} << 32};

// A look that took no time.
constexpr ClockLook at(u64 count, u64 ns) { return {count, ns, ns}; }

}  // namespace

KVMPV_TEST(drift, mul_div) {
    Test test(handle);
    test.equal("0", mul_div(0, kMost, 1), 0);
    test.equal("rounds down", mul_div(7, 3, 4), 5);
    test.equal("the product needs 128 bits", mul_div(kMost, kMost, kMost), kMost);
    // (2^64 - 1)(2^64 - 2) / (2^64 - 1)
    test.equal("one less", mul_div(kMost, kMost - 1, kMost), kMost - 1);
    test.equal("beyond 64 bits", mul_div(kMost, 2, 1), kMost);
    test.equal("divisor with the top bit", mul_div(u64{1} << 63, 6, (u64{1} << 63) + 1), 5);
}

KVMPV_TEST(drift, same_rate) {
    Test test(handle);
    const std::optional<Drift> found =
        drift(kNanoseconds, at(100, 50), at(100 + kSecond, 50 + kSecond));
    if (!test.is_true("found", found.has_value())) return;
    test.equal("elapsed", found->elapsed_ns, kSecond);
    test.equal("offset", found->offset_ns, 0);
    test.equal("a tick", found->error_ns, 1);
    test.equal("rate", found->rate_ppb, 0);
}

KVMPV_TEST(drift, ahead_and_behind) {
    Test test(handle);
    const std::optional<Drift> ahead =
        drift(kNanoseconds, at(0, 0), at(2 * kSecond + 500, 2 * kSecond));
    if (!test.is_true("ahead", ahead.has_value())) return;
    test.equal("offset", ahead->offset_ns, 500);
    test.equal("ppb", ahead->rate_ppb, 250);
    const std::optional<Drift> behind =
        drift(kNanoseconds, at(0, 0), at(2 * kSecond - 500, 2 * kSecond));
    if (!test.is_true("behind", behind.has_value())) return;
    test.equal("offset", behind->offset_ns, -500);
    test.equal("ppb", behind->rate_ppb, -250);
}

// Half the width of each look, and one tick of 279.4 ns, rounded up.
KVMPV_TEST(drift, error_bound) {
    Test test(handle);
    const ClockLook first{0, 1'000, 1'400};
    const ClockLook last{3'579'545, kSecond + 1'000, kSecond + 1'301};
    const std::optional<Drift> found = drift(kAcpiPm, first, last);
    if (!test.is_true("found", found.has_value())) return;
    test.equal("middle to middle", found->elapsed_ns, kSecond - 50);
    test.equal("offset", found->offset_ns, 50);
    test.equal("error", found->error_ns, 200 + 151 + 280);
    // 631 ns in a second less 50 ns, and 1 for rounding.
    test.equal("error_ppb", found->error_ppb, 632);
}

KVMPV_TEST(drift, counter_wraps) {
    Test test(handle);
    // An hour: 12'886'362'000 ticks, which is 768 wraps and 1'460'112 ticks more.
    const u64 ticks = u64{3'579'545} * 3600;
    const u64 start = (1 << 24) - 5;
    const u64 end = (start + ticks) & ((1 << 24) - 1);
    const std::optional<Drift> hour = drift(kAcpiPm, at(start, 0), at(end, 3600 * kSecond));
    if (!test.is_true("an hour", hour.has_value())) return;
    test.equal("offset", hour->offset_ns, 0);
    // Two seconds off is less than half of its range of 4.68 s.
    const std::optional<Drift> late = drift(kAcpiPm, at(start, 0), at(end, 3602 * kSecond));
    if (!test.is_true("late", late.has_value())) return;
    test.equal("late", late->offset_ns, -2 * static_cast<s64>(kSecond));
    const std::optional<Drift> early = drift(kAcpiPm, at(start, 0), at(end, 3598 * kSecond));
    if (!test.is_true("early", early.has_value())) return;
    test.equal("early", early->offset_ns, 2 * static_cast<s64>(kSecond));
    // A short span with a wrap in it.
    const std::optional<Drift> edge = drift(kHpet, at((u64{1} << 32) - 50, 0), at(50, 1'000));
    if (!test.is_true("edge", edge.has_value())) return;
    test.equal("edge", edge->offset_ns, 0);
}

// Somebody sets a real-time clock back.
KVMPV_TEST(drift, set_back) {
    Test test(handle);
    constexpr Counter kSeconds{kSecond, 1, 0};
    const std::optional<Drift> found = drift(kSeconds, at(1'000, 0), at(900, 10 * kSecond));
    if (!test.is_true("found", found.has_value())) return;
    test.equal("offset", found->offset_ns, -110 * static_cast<s64>(kSecond));
    test.equal("rate", found->rate_ppb, -11 * static_cast<s64>(kSecond));
    const std::optional<Drift> far = drift(kSeconds, at(kMost, 0), at(0, kSecond));
    if (!test.is_true("far", far.has_value())) return;
    test.equal("saturated", far->offset_ns, -std::numeric_limits<s64>::max());
}

KVMPV_TEST(drift, no_time_between) {
    Test test(handle);
    const ClockLook first{0, 1'000, 2'000};
    test.is_false("the same", drift(kNanoseconds, first, first).has_value());
    test.is_false("overlapping", drift(kNanoseconds, first, {5, 2'000, 3'000}).has_value());
    test.is_true("one later", drift(kNanoseconds, first, {5, 2'001, 3'000}).has_value());
    test.is_false("ours went back", drift(kNanoseconds, first, {5, 3'000, 2'500}).has_value());
}

KVMPV_SUITE(drift);
