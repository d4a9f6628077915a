// SPDX-License-Identifier: GPL-2.0-only
//
// charge_table.hh: the parts add up to the whole, however many there are, and the largest come
// first.

#include "kvmpv/charge_table.hh"
#include "scripted_host.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

struct Somebody {
    u64 id;
    u32 name;

    bool same(const Somebody& other) const { return id == other.id; }
    bool before(const Somebody& other) const { return id < other.id; }
    // A bad hash on purpose: everybody with the same remainder collides.
    u64 hash() const { return id % 10; }
};

using Charged = Charge<Somebody>;
using Charges = ChargeTable<Somebody, 32>;

u64 sum(const Charged* charges, u32 count) {
    u64 ns = 0;
    for (u32 i = 0; i < count; ++i) ns += charges[i].ns;
    return ns;
}

}  // namespace

KVMPV_TEST(charge_table, charges) {
    Test test(handle);
    Charges table{};
    table.charge({1, 10}, 5);
    table.charge({11, 20}, 7);
    table.charge({1, 30}, 6);
    table.charge({2, 40}, 0);
    Charged charges[32];
    test.equal("two", table.copy_to(charges), 2);
    test.equal("first", charges[0].who.id, 1);
    test.equal("sum", charges[0].ns, 11);
    test.equal("last name", charges[0].who.name, 30);
    test.equal("second", charges[1].ns, 7);
    test.equal("others", table.other_ns(), 0);
}

KVMPV_TEST(charge_table, overflows_into_others) {
    Test test(handle);
    Charges table{};
    // All have the same hash: kProbes of them find a place.
    for (u64 i = 0; i < 40; ++i) table.charge({10 * i, 0}, 100);
    Charged charges[32];
    test.equal("places", table.copy_to(charges), Charges::kProbes);
    test.equal("others", table.other_ns(), (40 - Charges::kProbes) * 100);
    table.charge({0, 0}, 1);
    test.equal("who has a place keeps it", table.other_ns(), (40 - Charges::kProbes) * 100);
}

KVMPV_TEST(charge_table, parts_make_the_whole) {
    Test test(handle);
    Xorshift random(99);
    for (u64 people : {1ull, 5ull, 20ull, 100ull, 10'000ull}) {
        Charges table{};
        u64 whole_ns = 0;
        for (u32 i = 0; i < 5'000; ++i) {
            const u64 ns = random.next() % 1'000'000;
            table.charge({random.next() % people, 0}, ns);
            whole_ns += ns;
        }
        Charged charges[32];
        const u32 count = table.copy_to(charges);
        test.equal("whole", sum(charges, count) + table.other_ns(), whole_ns);
    }
}

KVMPV_TEST(charge_table, sorts) {
    Test test(handle);
    Xorshift random(7);
    for (u32 count = 0; count <= 40; ++count) {
        u64 items[40];
        u64 all = 0;
        for (u32 i = 0; i < count; ++i) all += items[i] = random.next() % 50;
        heap_sort(items, count, [](u64 a, u64 b) { return a < b; });
        for (u32 i = 0; i < count; ++i) all -= items[i];
        test.equal("the same", all, 0);
        for (u32 i = 1; i < count; ++i)
            if (!test.is_true("in order", items[i - 1] <= items[i])) return;
    }
}

// No more elements than kSortSteps are sorted between two pauses, however many CPUs were merged.
KVMPV_TEST(charge_table, pauses_in_long_sorts) {
    Test test(handle);
    constexpr u32 kCount = 4 * kSortSteps;
    static u64 items[kCount];
    Xorshift random(7);
    for (u64& item : items) item = random.next();
    u32 compared = 0;
    u32 most = 0;
    u32 pauses = 0;
    heap_sort(
        items, kCount,
        [&](u64 a, u64 b) {
            ++compared;
            return a < b;
        },
        [&] {
            if (compared > most) most = compared;
            compared = 0;
            ++pauses;
        });
    for (u32 at = 1; at < kCount; ++at)
        if (!test.is_true("in order", items[at - 1] <= items[at])) return;
    // Half a heap is made, then each element taken: two comparisons a level, of ten.
    test.equal("pauses", pauses, 2 + 3);
    test.between("comparisons between pauses", most, 1, kSortSteps * 2 * 10);
}

KVMPV_TEST(charge_table, merges) {
    Test test(handle);
    Charged charges[] = {{{3, 0}, 10}, {{1, 0}, 5},  {{3, 0}, 1}, {{2, 0}, 30},
                         {{1, 0}, 6},  {{4, 0}, 11}, {{3, 0}, 2}};
    test.equal("four", merge_charges(charges, 7), 4);
    test.equal("most", charges[0].who.id, 2);
    test.equal("its sum", charges[0].ns, 30);
    test.equal("second", charges[1].who.id, 3);
    test.equal("its sum", charges[1].ns, 13);
    test.equal("equal ones by their order", charges[2].who.id, 1);
    test.equal("its sum", charges[2].ns, 11);
    test.equal("last", charges[3].who.id, 4);
    test.equal("none", merge_charges<Somebody>(charges, 0), 0);
}

KVMPV_SUITE(charge_table);
