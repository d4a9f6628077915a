// SPDX-License-Identifier: GPL-2.0-only
//
// event_ring.hh: every entry has a number, the latest entries are there, and lost ones are counted.

#include "kvmpv/event_ring.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

// Smaller than the module's ring, because it lies on the stack.
constexpr u32 kSize = 64;
using Ring = EventRing<u64, kSize>;

// Each entry is ten times its number.
void append(Ring& ring, u64 count) {
    for (u64 i = 0; i < count; ++i) ring.append((ring.total() + 1) * 10);
}

// A reader of a ring, and what it has seen.
struct Reader {
    u64 next = 1;
    u64 seen = 0;
    u64 missed = 0;
    bool right = true;

    void read_one(const Ring& ring) {
        if (ring.oldest() > next) {
            missed += ring.oldest() - next;
            next = ring.oldest();
        }
        const std::optional<u64> entry = ring.at(next);
        if (!entry) return;
        right &= *entry == next * 10;
        ++next;
        ++seen;
    }
};

}  // namespace

KVMPV_TEST(event_ring, empty) {
    Test test(handle);
    const Ring ring;
    test.equal("total", ring.total(), 0);
    test.equal("lost", ring.lost(), 0);
    test.equal("oldest", ring.oldest(), 1);
    test.is_false("entry 0", ring.at(0).has_value());
    test.is_false("entry 1", ring.at(1).has_value());
}

KVMPV_TEST(event_ring, numbers_from_one) {
    Test test(handle);
    Ring ring;
    for (u64 number = 1; number <= 3 * kSize; ++number)
        if (!test.equal("number", ring.append(number * 10), number)) return;
}

KVMPV_TEST(event_ring, full_is_not_lost) {
    Test test(handle);
    Ring ring;
    append(ring, kSize);
    test.equal("lost", ring.lost(), 0);
    test.equal("oldest", ring.oldest(), 1);
    test.equal("first entry", ring.at(1).value_or(0), 10);
    test.equal("last entry", ring.at(kSize).value_or(0), kSize * 10);
    test.is_false("one more", ring.at(kSize + 1).has_value());
}

KVMPV_TEST(event_ring, overwritten_is_lost) {
    Test test(handle);
    for (const u64 more : {1u, 2u, kSize - 1, kSize, kSize + 1, 10 * kSize}) {
        Ring ring;
        append(ring, kSize + more);
        test.equal("lost", ring.lost(), more);
        test.equal("oldest", ring.oldest(), more + 1);
        test.is_false("overwritten", ring.at(more).has_value());
        for (u64 number = more + 1; number <= kSize + more; ++number)
            if (!test.equal("entry", ring.at(number).value_or(0), number * 10)) return;
    }
}

// Writers append few or many entries between any two steps of a reader. The reader sees every entry
// whole and in order, and knows how many it has missed.
KVMPV_TEST(event_ring, reader_between_writers) {
    Test test(handle);
    for (const u64 at_once : {0u, 1u, 2u, 7u, kSize - 1, kSize, kSize + 1, 3 * kSize + 5}) {
        Ring ring;
        Reader reader;
        append(ring, 3);
        for (u32 step = 0; step < 2 * kSize; ++step) {
            reader.read_one(ring);
            append(ring, at_once);
        }
        while (reader.next <= ring.total()) reader.read_one(ring);
        test.is_true("entries", reader.right);
        test.equal("seen and missed", reader.seen + reader.missed, ring.total());
        test.equal("missed any", reader.missed > 0, at_once > 1);
        if (at_once == 0) test.equal("seen", reader.seen, 3);
    }
}

KVMPV_SUITE(event_ring);
