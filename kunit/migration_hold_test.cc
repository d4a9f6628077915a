// SPDX-License-Identifier: GPL-2.0-only
//
// migration_hold.hh: what is accepted in `migration/control`, and whose a hold is until when.

#include "kvmpv/migration_hold.hh"
#include "scripted_host.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

constexpr u64 kS = 1'000'000'000;
constexpr u64 kStart = 100 * kS;

// Open files: only their addresses count.
constexpr char kOne = 0;
constexpr char kOther = 0;

constexpr u32 kAllow = 0;

void expect_accepted(Test& test, const char* text, u32 hold_s) {
    const std::optional<MigrationWrite> parsed = parse_migration_write(text);
    if (!test.is_true(text, parsed.has_value())) return;
    test.equal(text, parsed->hold_s.value_or(kAllow), hold_s);
}

// Whether it is what is accepted, said another way: /^(allow|hold \d{1,3})$/, and 1 to 600.
bool is_well_formed(const char* text, u32 length) {
    if (same_text(text, "allow")) return true;
    if (length < 6 || length > 8) return false;
    u32 number = 0;
    for (u32 at = 0; at < length; ++at) {
        if (at < 5 && text[at] != "hold "[at]) return false;
        if (at >= 5 && (text[at] < '0' || text[at] > '9')) return false;
        if (at >= 5) number = number * 10 + static_cast<u32>(text[at] - '0');
    }
    return number - 1 < 600;
}

MigrationHold held(u32 seconds) {
    MigrationHold hold;
    hold.take(&kOne, seconds, kStart);
    return hold;
}

}  // namespace

KVMPV_TEST(migration_hold, accepts) {
    Test test(handle);
    expect_accepted(test, "allow", kAllow);
    expect_accepted(test, "hold 1", 1);
    expect_accepted(test, "hold 60", 60);
    expect_accepted(test, "hold 007", 7);
    expect_accepted(test, "hold 600", 600);
}

KVMPV_TEST(migration_hold, refuses) {
    Test test(handle);
    for (const char* text : {"",
                             " ",
                             "0",
                             "1",
                             "60",
                             "hold",
                             "hold ",
                             "hold 0",
                             "hold 000",
                             "hold 601",
                             "hold 999",
                             "hold 1000",
                             "hold 0600",
                             "hold -1",
                             "hold +1",
                             "hold 1 ",
                             "hold  1",
                             " hold 1",
                             "hold\t1",
                             "hold 1\n",
                             "hold 1s",
                             "hold 0x1",
                             "hold 1.5",
                             "hold 1 1",
                             "hold a",
                             "hold60",
                             "Hold 60",
                             "HOLD 60",
                             "holds 60",
                             "hol",
                             "allow ",
                             " allow",
                             "allow 1",
                             "allows",
                             "allo",
                             "Allow",
                             "a",
                             "deny",
                             "release",
                             "hold 4294967297",
                             "hold 18446744073709551617"})
        test.is_false(text, parse_migration_write(text).has_value());
}

// Texts of all lengths that a file accepts: what is right with some bytes changed, cut off and
// added, and any bytes.
KVMPV_TEST(migration_hold, random_texts) {
    Test test(handle);
    Xorshift random(20261127);
    u32 accepted = 0;
    for (u32 round = 0; round < 200'000; ++round) {
        char text[64] = {};
        const char* const right = round % 4 ? "hold 12345" : "allow";
        const u64 length = random.next() % (round % 8 == 7 ? sizeof(text) : 10);
        bool ended = false;
        for (u64 at = 0; at < length; ++at) {
            ended = ended || !right[at];
            text[at] = ended ? '0' : right[at];
            if (!(random.next() % 16)) text[at] = static_cast<char>(1 + random.next() % 255);
        }
        const bool is_accepted = parse_migration_write(text).has_value();
        accepted += is_accepted;
        if (!test.equal(text, is_accepted, is_well_formed(text, static_cast<u32>(length)))) return;
    }
    test.between("accepted", accepted, 1'000, 199'000);
}

KVMPV_TEST(migration_hold, nobody_holds_at_first) {
    Test test(handle);
    const MigrationHold hold;
    test.is_false("taken", hold.is_taken());
    test.is_false("of one", hold.is_of(&kOne));
    test.is_true("free", hold.is_free_for(&kOne, 0));
    test.equal("left", hold.left_ns(0), 0);
    test.is_false("of no file", hold.is_of(nullptr));
}

KVMPV_TEST(migration_hold, lasts_for_its_time) {
    Test test(handle);
    const MigrationHold hold = held(60);
    test.is_true("taken", hold.is_taken());
    test.equal("until", hold.until_ns(), kStart + 60 * kS);
    test.equal("left at first", hold.left_ns(kStart), 60 * kS);
    test.equal("left later", hold.left_ns(kStart + 59 * kS + 1), kS - 1);
    test.equal("left at the end", hold.left_ns(kStart + 60 * kS), 0);
    test.equal("left long after it", hold.left_ns(~u64{0}), 0);
    test.is_false("over before the end", hold.is_over_by_timer(kStart + 60 * kS - 1));
    test.is_true("over at the end", hold.is_over_by_timer(kStart + 60 * kS));
    test.is_true("over after it", hold.is_over_by_timer(~u64{0}));
}

KVMPV_TEST(migration_hold, another_file_waits_until_it_is_over) {
    Test test(handle);
    MigrationHold hold = held(60);
    test.is_false("free for another one", hold.is_free_for(&kOther, kStart));
    test.is_false("at the last moment", hold.is_free_for(&kOther, kStart + 60 * kS - 1));
    // The timer may be late.
    test.is_true("when it is over", hold.is_free_for(&kOther, kStart + 60 * kS));
    hold.take(&kOther, 1, kStart + 60 * kS);
    test.is_true("of the other one", hold.is_of(&kOther));
    // The first one is closed, or writes again.
    test.is_false("of the first one", hold.is_of(&kOne));
    test.is_false("free for the first one", hold.is_free_for(&kOne, kStart + 60 * kS));
}

// Its time counts from the last write, and may be shorter.
KVMPV_TEST(migration_hold, the_same_file_takes_it_anew) {
    Test test(handle);
    MigrationHold hold = held(600);
    test.is_true("free", hold.is_free_for(&kOne, kStart + kS));
    hold.take(&kOne, 600, kStart + 599 * kS);
    test.equal("longer", hold.until_ns(), kStart + 1199 * kS);
    hold.take(&kOne, 2, kStart + 600 * kS);
    test.equal("shorter", hold.until_ns(), kStart + 602 * kS);
    // The timer of the first one.
    test.is_false("over", hold.is_over_by_timer(kStart + 601 * kS));
}

KVMPV_TEST(migration_hold, ends) {
    Test test(handle);
    MigrationHold hold = held(60);
    hold.end();
    test.is_false("taken", hold.is_taken());
    test.is_false("of the one", hold.is_of(&kOne));
    test.equal("left", hold.left_ns(kStart), 0);
    test.is_true("free", hold.is_free_for(&kOther, kStart));
}

// It is not longer than what was asked for, and nobody else gets it for that. A timer that finds it
// so ends it.
KVMPV_TEST(migration_hold, time_goes_back) {
    Test test(handle);
    const MigrationHold hold = held(60);
    for (const u64 now_ns : {kStart - 1, kStart - 30 * kS, u64{0}}) {
        test.equal("left", hold.left_ns(now_ns), 60 * kS);
        test.is_false("free for another one", hold.is_free_for(&kOther, now_ns));
        test.is_true("over by the timer", hold.is_over_by_timer(now_ns));
    }
    // By less than what has passed: the timer waits for the rest.
    test.is_false("over", hold.is_over_by_timer(kStart + kS));
    test.equal("left", hold.left_ns(kStart + kS), 59 * kS);
}

// Nothing wraps to a hold that is over at once, or never.
KVMPV_TEST(migration_hold, at_the_end_of_time) {
    Test test(handle);
    const u64 last = ~u64{0};
    MigrationHold hold;
    hold.take(&kOne, kLongestHoldS, last - kS);
    test.equal("left at first", hold.left_ns(last - kS), 600 * kS);
    test.equal("left", hold.left_ns(last), 599 * kS);
    test.is_false("free for another one", hold.is_free_for(&kOther, last));
}

// Whatever time does, what is left is never more than what was asked for, and exactly the rest if
// time has only moved on.
KVMPV_TEST(migration_hold, random_times) {
    Test test(handle);
    Xorshift random(20261127);
    for (u32 round = 0; round < 20'000; ++round) {
        const u32 seconds = static_cast<u32>(1 + random.next() % kLongestHoldS);
        const u64 start = random.next() >> random.next() % 64;
        MigrationHold hold;
        hold.take(&kOne, seconds, start);
        const u64 length = seconds * kS;
        const u64 now = random.next() % 2 ? random.next() : start + random.next() % (2 * length);
        const u64 left = hold.left_ns(now);
        bool good = test.between("left", left, 0, length);
        if (now >= start)
            good &= test.equal("left", left, now - start < length ? length - (now - start) : 0);
        good &= test.equal("over", hold.is_over_by_timer(now), now < start || !left);
        good &= test.equal("free", hold.is_free_for(&kOther, now), !left);
        if (!good) return;
    }
}

KVMPV_SUITE(migration_hold);
