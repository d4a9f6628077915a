// SPDX-License-Identifier: GPL-2.0-only
//
// pvclock.hh: the document's formula, and the fast path against anything that a host can do between
// two of its steps. The guarded path is tested in guard_test.cc.

#include "clock_vectors.hh"
#include "half_written.hh"
#include "scripted_host.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

// ---- The formula ------------------------------------------------------------------------------

struct Scaling {
    const char* name;
    u64 delta;
    u32 tsc_to_system_mul;
    s8 tsc_shift;
    u64 expected;
};

// expected = ((delta << shift) * mul) >> 32, in arbitrary-precision integers. A negative shift
// shifts right and drops the bits that fall out.
constexpr Scaling kScalings[] = {
    {"0", 0, 0xffff'ffff, 0, 0},
    {"1 * (1 - 2^-32)", 1, 0xffff'ffff, 0, 0},
    {"2 * (1 - 2^-32)", 2, 0xffff'ffff, 0, 1},
    {"1 * 1/2 * 2", 1, 0x8000'0000, 1, 1},
    {"3 * 1/2", 3, 0x8000'0000, 0, 1},
    {"largest * (1 - 2^-32)", 0xffff'ffff'ffff'ffff, 0xffff'ffff, 0, 0xffff'fffe'ffff'ffff},
    {"largest * 1/2", 0xffff'ffff'ffff'ffff, 0x8000'0000, 0, 0x7fff'ffff'ffff'ffff},
    {"largest * 2^-32", 0xffff'ffff'ffff'ffff, 1, 0, 0xffff'ffff},
    {"largest * 0", 0xffff'ffff'ffff'ffff, 0, 0, 0},
    {"2^32 * (1 - 2^-32)", 0x1'0000'0000, 0xffff'ffff, 0, 0xffff'ffff},
    {"2^33 * (1 - 2^-32): the product has 65 bits", 0x2'0000'0000, 0xffff'ffff, 0, 0x1'ffff'fffe},
    {"a carry from the lower product", 0x1'ffff'ffff, 0x8000'0001, 0, 0x1'0000'0001},
    {"a product of 92 bits", 0x1234'5678'9abc'def0, 0xdead'beef, 0, 1'141'026'914'211'371'111},
    {"largest, 31 right", 0xffff'ffff'ffff'ffff, 0xffff'ffff, -31, 0x1'ffff'fffd},
    {"largest, 1 right", 0xffff'ffff'ffff'ffff, 0xffff'ffff, -1, 0x7fff'ffff'7fff'ffff},
    {"shifted to nothing", 0x7fff'ffff, 0xffff'ffff, -31, 0},
    {"shifted to 1", 0x8000'0000, 0xffff'ffff, -31, 0},
    {"shifted to 2", 0x1'0000'0000, 0xffff'ffff, -31, 1},
    {"1 * 2^31 * 2^-32", 1, 1, 31, 0},
    {"2 * 2^31 * 2^-32", 2, 1, 31, 1},
    {"1 * 2^31 * (1 - 2^-32)", 1, 0xffff'ffff, 31, 0x7fff'ffff},
    {"most that 31 left keeps", 0x1'ffff'ffff, 0xffff'ffff, 31, 0xffff'fffe'8000'0000},
    {"2^62, 1 left", 0x4000'0000'0000'0000, 0xffff'ffff, 1, 0x7fff'ffff'8000'0000},
    {"most that 1 left keeps", 0x7fff'ffff'ffff'ffff, 0xffff'ffff, 1, 0xffff'fffe'ffff'fffe},
    {"odd numbers, 7 right", 0xfedc'ba98'7654'3210, 0x89ab'cdef, -7, 77'157'492'460'179'656},
    {"odd numbers, 13 left", 0x1'2345'6789, 0x89ab'cdef, 13, 21'528'318'205'798},
};

// Computes the same by long multiplication, one bit of the multiplier at a time, on a 96-bit number
// in three words. It shares no operation with the formula under test.
u64 scale_bit_by_bit(u64 delta, u32 multiplier, int shift) {
    for (; shift < 0; ++shift) delta /= 2;
    for (; shift > 0; --shift) delta += delta;

    u32 sum[3] = {};
    u32 addend[3] = {static_cast<u32>(delta), static_cast<u32>(delta / 0x1'0000'0000), 0};
    for (; multiplier; multiplier /= 2) {
        u64 carry = 0;
        u32 addend_carry = 0;
        for (u32 word = 0; word < 3; ++word) {
            if (multiplier % 2) {
                carry += u64{sum[word]} + addend[word];
                sum[word] = static_cast<u32>(carry);
                carry /= 0x1'0000'0000;
            }
            const u32 top = addend[word] / 0x8000'0000;
            addend[word] = addend[word] * 2 + addend_carry;
            addend_carry = top;
        }
    }
    return sum[2] * u64{0x1'0000'0000} + sum[1];
}

constexpr u64 kDeltas[] = {0,
                           1,
                           2,
                           3,
                           0xfff,
                           0x7fff'ffff,
                           0x8000'0000,
                           0xffff'ffff,
                           0x1'0000'0000,
                           0x1'0000'0001,
                           2'596'096'000,
                           0x1'ffff'ffff,
                           0xdead'beef'cafe,
                           0x7fff'ffff'ffff'ffff,
                           0x8000'0000'0000'0000,
                           0xffff'ffff'ffff'ffff};
constexpr u32 kMultipliers[] = {0,           1,           2,           0x7fff'ffff, 0x8000'0000,
                                0x8000'0001, 0xc538'1e17, 0xaaaa'aaaa, 0xffff'fffe, 0xffff'ffff};

constexpr bool left_shift_loses(u64 delta, int shift) {
    for (; shift > 0; --shift) {
        if (delta >= 0x8000'0000'0000'0000) return true;
        delta += delta;
    }
    return false;
}

// Calls check(delta, multiplier, shift) for every combination, until it returns false.
template <class Check>
void for_every_combination(Check&& check) {
    for (const u64 delta : kDeltas)
        for (const u32 multiplier : kMultipliers)
            for (int shift = -31; shift <= 31; ++shift)
                if (!check(delta, multiplier, static_cast<s8>(shift))) return;
}

void note_combination(Test& test, u64 delta, u32 multiplier, s8 shift) {
    test.note([&](LineWriter& out) {
        out << "delta " << Hex{delta} << ", multiplier " << Hex{multiplier} << ", shift "
            << Signed{shift};
    });
}

}  // namespace

KVMPV_TEST(pvclock, scale_exact) {
    Test test(handle);
    for (const Scaling& row : kScalings)
        test.equal(row.name, scale_tsc_delta(row.delta, row.tsc_to_system_mul, row.tsc_shift),
                   row.expected);
}

KVMPV_TEST(pvclock, scale_against_bit_by_bit) {
    Test test(handle);
    u32 tried = 0;
    for_every_combination([&](u64 delta, u32 multiplier, s8 shift) {
        if (left_shift_loses(delta, shift)) return true;
        ++tried;
        if (test.equal("scaled", scale_tsc_delta(delta, multiplier, shift),
                       scale_bit_by_bit(delta, multiplier, shift)))
            return true;
        note_combination(test, delta, multiplier, shift);
        return false;
    });
    test.at_least("combinations", tried, 5000);
}

KVMPV_TEST(pvclock, scale_saturates) {
    Test test(handle);
    for_every_combination([&](u64 delta, u32 multiplier, s8 shift) {
        if (!left_shift_loses(delta, shift)) return true;
        if (test.equal("scaled", scale_tsc_delta(delta, multiplier, shift), ~u64{0})) return true;
        note_combination(test, delta, multiplier, shift);
        return false;
    });
}

KVMPV_TEST(pvclock, shift_limits) {
    Test test(handle);
    u32 sane = 0;
    for (int shift = -128; shift <= 127; ++shift) sane += tsc_shift_is_sane(static_cast<s8>(shift));
    test.equal("sane shifts, -31 to 31", sane, 63);
    test.is_true("-31", tsc_shift_is_sane(-31));
    test.is_true("31", tsc_shift_is_sane(31));
    test.is_false("-32", tsc_shift_is_sane(-32));
    test.is_false("32", tsc_shift_is_sane(32));
}

// ---- One record that nobody writes ------------------------------------------------------------

namespace {

struct FastRead {
    bool ok;
    u64 ns;
    bool ended_by_itself;
    u32 accesses;
};

// Reads one record by the fast path while the TSC stands still at `tsc`.
FastRead read_record(const PvclockVcpuTimeInfo& record, u64 tsc) {
    ScriptedHost host;
    host.record(0) = record;
    host.set_tsc(tsc);
    ScriptedMachine machine(host, kUndisturbed);
    machine.set_ticks_per_access(0);
    u64 ns = 0;
    const bool ok = read_stable(machine, ns);
    return {ok, ns, machine.ended_by_itself(), machine.accesses()};
}

void expect_exact(Test& test, std::span<const ClockVector> vectors) {
    for (const ClockVector& row : vectors) {
        const FastRead read = read_record(row.record(), row.tsc);
        test.is_true(row.name, read.ok);
        test.equal(row.name, read.ns, row.expected_ns);
    }
}

// The fast path has to refuse, after one look or after the bound, so that the guarded path answers.
void expect_refused(Test& test, const char* what, const FastRead& read) {
    test.is_false(what, read.ok);
    test.is_true(what, read.ended_by_itself);
}

constexpr PvclockVcpuTimeInfo kGoodRecord = {2, 0, 1000, 5000, 0x8000'0000, 1, kPvclockTscStable,
                                             {}};

}  // namespace

// The scripts below rely on this order of accesses; see kGap.
KVMPV_TEST(pvclock, five_steps_in_order) {
    Test test(handle);
    ScriptedHost host;
    ScriptedMachine machine(host, kUndisturbed);
    u64 ns = 0;
    test.is_true("read", read_stable(machine, ns));
    test.equal("pointer, version, TSC, five fields, pointer, version", machine.trace(),
               "PVTFFFFFPV");
    test.equal("counted", machine.counted(), 0);
}

KVMPV_TEST(pvclock, exact_time) {
    Test test(handle);
    expect_exact(test, kClockVectors);
}

KVMPV_TEST(pvclock, selftest_offsets) {
    Test test(handle);
    expect_exact(test, kSelftestOffsets);
}

KVMPV_TEST(pvclock, exact_time_for_every_shift) {
    Test test(handle);
    for_every_combination([&](u64 delta, u32 multiplier, s8 shift) {
        // A delta of 2^63 or more is taken for a timestamp ahead of the TSC.
        if (delta >> 63 || left_shift_loses(delta, shift)) return true;
        const FastRead read =
            read_record({2, 0, 77, 0, multiplier, shift, kPvclockTscStable, {}}, 77 + delta);
        const bool right = test.is_true("read", read.ok) &&
                           test.equal("ns", read.ns, scale_bit_by_bit(delta, multiplier, shift));
        if (!right) note_combination(test, delta, multiplier, shift);
        return right;
    });
}

KVMPV_TEST(pvclock, impossible_shift) {
    Test test(handle);
    for (int shift = -128; shift <= 127; ++shift) {
        if (-31 <= shift && shift <= 31) continue;
        PvclockVcpuTimeInfo record = kGoodRecord;
        record.tsc_shift = static_cast<s8>(shift);
        const FastRead read = read_record(record, 2000);
        expect_refused(test, "|shift| > 31", read);
        // The first attempt ends at its fifth access, the shift. A second, whole one judges the
        // record.
        test.equal("accesses", read.accesses, 5 + 10);
        if (read.ok) test.note([&](LineWriter& out) { out << "shift " << Signed{shift}; });
    }
}

KVMPV_TEST(pvclock, timestamp_ahead_of_tsc) {
    Test test(handle);
    expect_refused(test, "a tick ahead", read_record(kGoodRecord, 999));
    expect_refused(test, "far ahead", read_record(kGoodRecord, 0));
    PvclockVcpuTimeInfo record = kGoodRecord;
    record.tsc_timestamp = 0x8000'0000'0000'0000;
    expect_refused(test, "2^63 ahead", read_record(record, 0));
    // As a delta of nearly 2^64 these would give plausible times, 4.3 s late.
    record = kGoodRecord;
    record.tsc_to_system_mul = 1;
    record.tsc_shift = 0;
    expect_refused(test, "a tick ahead, multiplier 1", read_record(record, 999));
    record.tsc_shift = -31;
    expect_refused(test, "a tick ahead, shifted away", read_record(record, 999));
}

// The fast path refuses and does not wrap. The guarded path answers with the largest u64.
KVMPV_TEST(pvclock, sum_beyond_64_bits) {
    Test test(handle);
    PvclockVcpuTimeInfo record = kGoodRecord;
    record.system_time = ~u64{0} - 10;
    const FastRead read = read_record(record, 1010);
    test.is_true("sum of 2^64 - 1", read.ok);
    test.equal("sum of 2^64 - 1", read.ns, ~u64{0});
    expect_refused(test, "sum of 2^64", read_record(record, 1011));
    // The delta alone is beyond 64 bits.
    record.system_time = 5000;
    record.tsc_shift = 31;
    expect_refused(test, "left shift that loses bits", read_record(record, 1000 + 0x2'0000'0000));
}

KVMPV_TEST(pvclock, promise_missing) {
    Test test(handle);
    // Bit 0 is the promise. Bit 1 says that the host has stopped the guest, and is ignored here.
    for (u32 flags = 0; flags < 256; ++flags) {
        PvclockVcpuTimeInfo record = kGoodRecord;
        record.flags = static_cast<u8>(flags);
        const FastRead read = read_record(record, 1500);
        if (flags % 2) {
            test.is_true("with the promise", read.ok);
            test.equal("with the promise", read.ns, 5500);
        } else {
            expect_refused(test, "without the promise", read);
        }
    }
}

KVMPV_TEST(pvclock, record_of_zeros) {
    Test test(handle);
    expect_refused(test, "TSC 0", read_record({}, 0));
    expect_refused(test, "TSC not 0", read_record({}, 0x1234'5678'9abc'def0));
}

// ---- One record, the host writes --------------------------------------------------------------

namespace {

// While `script` plays the host, a read has to end within the bound, with the time that was true
// when it read the TSC. Every record that a script writes is exact to the nanosecond.
template <class Script>
bool expect_true_time(Test& test, ScriptedHost& host, Script script) {
    ScriptedMachine machine(host, script);
    const u64 entry_ns = host.true_ns();
    u64 ns = 0;
    const bool ok = read_stable(machine, ns);
    const u64 exit_ns = host.true_ns();
    const bool right = test.is_true("read", ok) &&
                       test.is_true("ended by itself", machine.ended_by_itself()) &&
                       test.equal("time when the TSC was read", ns, machine.true_ns_at_tsc()) &&
                       test.between("time between entry and exit", ns, entry_ns, exit_ns);
    if (!right) test.note([&](LineWriter& out) { out << "accesses " << machine.trace(); });
    return right;
}

// A read has to give up after kVersionReadAttempts attempts of at most ten accesses each.
template <class Script>
void expect_bounded(Test& test, ScriptedHost& host, Script script) {
    ScriptedMachine machine(host, script);
    u64 ns = 0;
    test.is_false("read", read_stable(machine, ns));
    test.is_true("ended by itself", machine.ended_by_itself());
    test.between("accesses", machine.accesses(), kVersionReadAttempts, kVersionReadAttempts * 10);
}

}  // namespace

KVMPV_TEST(pvclock, odd_version_then_even) {
    Test test(handle);
    // The version becomes even before each attempt in turn, up to the last one.
    for (u32 attempts = 0; attempts < kVersionReadAttempts; ++attempts) {
        ScriptedHost host;
        host.begin_rewrite(0);
        const bool right = expect_true_time(test, host, [&](u32 access) {
            if (access == attempts * 10) host.end_rewrite();
        });
        if (!right) return;
    }
}

KVMPV_TEST(pvclock, odd_version_for_ever) {
    Test test(handle);
    ScriptedHost host;
    host.begin_rewrite(0);
    expect_bounded(test, host, kUndisturbed);
}

KVMPV_TEST(pvclock, new_version_at_every_look) {
    Test test(handle);
    ScriptedHost host;
    expect_bounded(test, host, [&](u32) { host.rewrite(0); });
}

KVMPV_TEST(pvclock, another_cpu_at_every_look) {
    Test test(handle);
    ScriptedHost host;
    // An attempt ends with its ninth access, the second load of the pointer, which finds another
    // CPU's record.
    expect_bounded(test, host, [&](u32 access) {
        if (access % 9 == 8) host.run_on(1 - host.cpu());
    });
}

KVMPV_TEST(pvclock, update_between_any_two_accesses) {
    Test test(handle);
    for (const Rate* rate : {&kSlow, &kFast}) {
        for (u32 at = 0; at <= 10; ++at) {
            ScriptedHost host;
            const bool right = expect_true_time(test, host, [&](u32 access) {
                if (access == at) host.change_clock(*rate);
            });
            if (!right) return test.note([&](LineWriter& out) { out << "before access " << at; });
        }
    }
}

namespace {

void half_written(Test& test, u64 start_ns, u64 forward_ticks) {
    half_written(test, start_ns, forward_ticks, 19, 20, [&](ScriptedHost& host, auto script) {
        return expect_true_time(test, host, script);
    });
}

}  // namespace

KVMPV_TEST(pvclock, half_written_system_time) {
    Test test(handle);
    half_written(test, 0x1'ffff'ff00, 64 * kTickUnit);
}

KVMPV_TEST(pvclock, half_written_timestamp) {
    Test test(handle);
    half_written(test, 0, 0x1'0000'0000 - ScriptedHost::kStartTsc);
}

KVMPV_TEST(pvclock, version_wraps) {
    Test test(handle);
    for (const u32 version : {0xffff'fffeu, 0xffff'fffcu, 0u}) {
        for (u32 at = 0; at <= 10; ++at) {
            ScriptedHost host;
            host.set_versions(version);
            if (!expect_true_time(test, host, [&](u32 access) {
                    if (access == at) host.change_clock(kSlow);
                }))
                return test.note([&](LineWriter& out) { out << "version " << Hex{version}; });
        }
    }
    // The largest odd version. Rounded down, it must not equal the even one that follows, which is
    // 0.
    ScriptedHost host;
    host.set_versions(0xffff'fffe);
    host.begin_rewrite(0);
    expect_true_time(test, host, [&](u32 access) {
        if (access == 5) host.end_rewrite();
    });
}

// ---- Two CPUs: the thread leaves, the host writes, the thread returns -------------------------

namespace {

// The gap after step n of read_stable() lies before this access of the first attempt.
constexpr u32 kGap[] = {0, 1, 2, 8, 9};
constexpr u32 kStepsOfAnAttempt = 10;
constexpr u32 kNeverBack = ~u32{0};

// What the host does while the thread is away from the CPU whose record it has loaded.
enum class Update : u8 {
    kOther,        // changes the clock; the record of the CPU that the thread left becomes stale
    kLeft,         // writes only the record of the CPU that the thread left, from the same clock
    kBoth,         // changes the clock and writes both records
    kLeftHalfWay,  // changes the clock; that record is half written until the thread returns
};
constexpr Update kUpdates[] = {Update::kOther, Update::kLeft, Update::kBoth, Update::kLeftHalfWay};

// How the clock changes. With a slower clock the time of a stale record lies in the future, with
// the others in the past.
struct Change {
    const char* name;
    const Rate* rate;
    u64 forward_ns;
};
constexpr Change kChanges[] = {
    {"slower", &kSlow, 0}, {"faster", &kFast, 0}, {"5 s forward", &kEven, 5'000'000'000}};

struct Journey {
    u32 away;
    u32 update;
    u32 back;
    Update what;
    const Change* change;
};

void play(ScriptedHost& host, const Journey& journey, u32 access) {
    constexpr u64 kAWhile = 100'000 * kTickUnit;
    constexpr u32 kLeft = 0, kOther = 1;
    if (access == journey.away) {
        host.pass(kAWhile);
        host.run_on(kOther);
    }
    if (access == journey.update) {
        host.pass(kAWhile);
        if (journey.what != Update::kLeft)
            host.change_clock(*journey.change->rate, journey.change->forward_ns);
        if (journey.what == Update::kLeftHalfWay)
            host.begin_rewrite(kLeft);
        else if (journey.what != Update::kOther)
            host.rewrite(kLeft);
        host.pass(kAWhile);
    }
    if (access == journey.back) {
        host.pass(kAWhile);
        host.run_on(kLeft);
        host.pass(kAWhile);
    }
}

bool travel(Test& test, const Journey& journey) {
    ScriptedHost host;
    const bool right =
        expect_true_time(test, host, [&](u32 access) { play(host, journey, access); });
    if (!right)
        test.note([&](LineWriter& out) {
            out << "away before access " << journey.away << ", update "
                << static_cast<u32>(journey.what) << " before " << journey.update
                << ", back before " << journey.back << ", clock " << journey.change->name;
        });
    return right;
}

// Tries every update with every change, at these accesses.
bool travel_at(Test& test, u32 away, u32 update, u32 back) {
    for (const Update what : kUpdates)
        for (const Change& change : kChanges)
            if (!travel(test, {away, update, back, what, &change})) return false;
    return true;
}

// The thread leaves in this gap. The update and the return come in the same gap or a later one, or
// the thread does not return within the read.
void migrate_in_gap(Test& test, u32 gap) {
    for (u32 update = gap; update <= 4; ++update) {
        for (u32 back = update; back <= 4; ++back)
            if (!travel_at(test, kGap[gap], kGap[update], kGap[back])) return;
        if (!travel_at(test, kGap[gap], kGap[update], kNeverBack)) return;
    }
}

}  // namespace

KVMPV_TEST(pvclock, migrate_in_gap_1) {
    Test test(handle);
    migrate_in_gap(test, 1);
}

KVMPV_TEST(pvclock, migrate_in_gap_2) {
    Test test(handle);
    migrate_in_gap(test, 2);
}

KVMPV_TEST(pvclock, migrate_in_gap_3) {
    Test test(handle);
    migrate_in_gap(test, 3);
}

KVMPV_TEST(pvclock, migrate_in_gap_4) {
    Test test(handle);
    migrate_in_gap(test, 4);
}

// All three come between any two accesses, and on into the second attempt.
KVMPV_TEST(pvclock, migrate_between_any_accesses) {
    Test test(handle);
    for (u32 away = 0; away <= kStepsOfAnAttempt; ++away)
        for (u32 update = away; update <= kStepsOfAnAttempt + 2; ++update)
            for (u32 back = update; back <= kStepsOfAnAttempt + 4; ++back)
                if (!travel_at(test, away, update, back)) return;
}

KVMPV_TEST(pvclock, migrate_at_random) {
    Test test(handle);
    constexpr u32 kReads = 5000;
    constexpr u32 kEventful =
        60;  // accesses; after them the host is quiet and the read must succeed
    Xorshift random(0x9e37'79b9'7f4a'7c15);
    for (u32 read = 0; read < kReads; ++read) {
        ScriptedHost host;
        const bool right = expect_true_time(test, host, [&](u32 access) {
            const u64 dice = access < kEventful ? random.next() : 0;
            switch (dice >> 60) {
                case 1: host.change_clock(*kChanges[(dice >> 8) % 3].rate); break;
                case 2: host.rewrite(1 - host.cpu()); break;
                case 3: host.begin_rewrite(1 - host.cpu()); break;
                case 4:
                case 5: host.run_on(1 - host.cpu()); break;
                default: break;
            }
            // A stale record differs from a current one only if time passes.
            host.pass(dice % 64 * kTickUnit);
        });
        if (!right) return test.note([&](LineWriter& out) { out << "read " << read; });
    }
}

KVMPV_SUITE(pvclock);
