// SPDX-License-Identifier: GPL-2.0-only
//
// histogram.hh: every value has one bucket, and a percentile is off by no more than promised.

#include "kvmpv/histogram.hh"
#include "kvmpv/charge_table.hh"
#include "scripted_host.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

constexpr u32 kSub = 4;
constexpr u32 kTop = 36;
using Histogram = LogLinearHistogram<kSub, kTop>;
constexpr u64 kMost = std::numeric_limits<u64>::max();

// The tests run on one thread, and this is too large for the kernel's stack.
constinit Histogram histogram{};
constinit std::array<u64, 500> values{};

void clear() { histogram = {}; }

}  // namespace

static_assert(Histogram::kBuckets == 528);
static_assert(Histogram::bucket_of(0) == 0);
static_assert(Histogram::bucket_of(kMost) == 527);

// Each bucket begins right after the one before, and its highest value belongs to it.
KVMPV_TEST(histogram, buckets_cover_every_value) {
    Test test(handle);
    for (u32 bucket = 0; bucket + 1 < Histogram::kBuckets; ++bucket) {
        const u64 highest = Histogram::highest_of(bucket);
        if (!test.equal("highest", Histogram::bucket_of(highest), bucket)) return;
        if (!test.equal("next", Histogram::bucket_of(highest + 1), bucket + 1)) return;
        if (!test.equal("lowest", Histogram::lowest_of(bucket + 1), highest + 1)) return;
    }
    test.equal("first", Histogram::lowest_of(0), 0);
    test.equal("last", Histogram::highest_of(Histogram::kBuckets - 1), kMost);
    test.equal("top", Histogram::bucket_of(u64{1} << kTop), Histogram::kBuckets - 1);
    test.equal("below it", Histogram::highest_of(Histogram::kBuckets - 2) >> (kTop - 1), 1);
}

KVMPV_TEST(histogram, counts_in_buckets) {
    Test test(handle);
    clear();
    for (const u64 value : {u64{7}, u64{1000}, u64{1001}, kMost}) histogram.add(value);
    for (u32 bucket = 0; bucket < Histogram::kBuckets; ++bucket) {
        const bool has_both = bucket == Histogram::bucket_of(1000);
        const bool has_one = bucket == 7 || bucket == Histogram::kBuckets - 1;
        if (!test.equal("count", histogram.count_in(bucket), has_both ? 2 : has_one)) return;
    }
    test.equal("the same bucket", Histogram::bucket_of(1001), Histogram::bucket_of(1000));
}

KVMPV_TEST(histogram, empty) {
    Test test(handle);
    clear();
    test.equal("count", histogram.count(), 0);
    for (const u32 percent : {0u, 50u, 99u, 100u})
        test.equal("percentile", histogram.percentile(percent), 0);
}

KVMPV_TEST(histogram, small_values_are_exact) {
    Test test(handle);
    clear();
    for (u64 value = 0; value < 32; ++value) histogram.add(value);
    test.equal("count", histogram.count(), 32);
    test.equal("0", histogram.percentile(0), 0);
    test.equal("50", histogram.percentile(50), 15);
    test.equal("51", histogram.percentile(51), 16);
    test.equal("99", histogram.percentile(99), 31);
    test.equal("100", histogram.percentile(100), 31);
}

KVMPV_TEST(histogram, one_value_is_exact) {
    Test test(handle);
    for (const u64 value : {u64{0}, u64{17}, u64{1'000'003}, (u64{1} << 50) + 12345, kMost}) {
        clear();
        histogram.add(value);
        test.equal("50", histogram.percentile(50), value);
        test.equal("99", histogram.percentile(99), value);
    }
}

// 1 % are slow: the 99th percentile is the slowest of the fast ones.
KVMPV_TEST(histogram, tail) {
    Test test(handle);
    clear();
    for (u32 i = 0; i < 990; ++i) histogram.add(10);
    for (u32 i = 0; i < 10; ++i) histogram.add(5'000'000);
    test.equal("50", histogram.percentile(50), 10);
    test.equal("99", histogram.percentile(99), 10);
    test.equal("100", histogram.percentile(100), 5'000'000);
    histogram.add(5'000'000);
    test.equal("99 of one more", histogram.percentile(99), 5'000'000);
}

// Against the true percentile of sorted values, of any magnitude. A histogram that rounded down, or
// with half as many buckets, fails.
KVMPV_TEST(histogram, error_is_bounded) {
    Test test(handle);
    Xorshift random(0x5ee'd0f1);
    for (u32 round = 0; round < 100; ++round) {
        clear();
        const u32 count = 1 + static_cast<u32>(random.next() % values.size());
        const u32 magnitude = 29 + static_cast<u32>(random.next() % 30);
        for (u32 at = 0; at < count; ++at) {
            values[at] = (random.next() >> magnitude) >> random.next() % 20;
            histogram.add(values[at]);
        }
        heap_sort(values.data(), count, [](u64 a, u64 b) { return a < b; });
        for (u32 percent = 1; percent <= 100; ++percent) {
            const u64 exact = values[(u64{count} * percent + 99) / 100 - 1];
            const u64 most = exact + (exact >> kSub);
            if (!test.between("percentile", histogram.percentile(percent), exact, most)) return;
        }
    }
}

KVMPV_SUITE(histogram);
