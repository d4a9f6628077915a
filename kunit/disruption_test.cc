// SPDX-License-Identifier: GPL-2.0-only
//
// disruption.hh: what the host has done between two looks at a record, to the nanosecond.

#include "kvmpv/disruption.hh"
#include "scripted_host.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

constexpr u32 kHalf = 0x8000'0000;  // of 2^32: with a shift of 1, one ns a tick
constexpr u8 kStable = kPvclockTscStable;
constexpr u8 kStopped = kPvclockGuestStopped;
constexpr s64 kMost = std::numeric_limits<s64>::max();

constexpr ClockSample sample(u64 tsc, u64 tsc_timestamp, u64 system_time_ns, u8 flags = kStable,
                             u32 mul = kHalf, s8 shift = 1) {
    return {tsc, tsc_timestamp, system_time_ns, mul, shift, flags, true, false};
}

// Shows 5'000'100'000 ns at the time of the look.
constexpr ClockSample kBefore = sample(1'000'000, 900'000, 5'000'000'000);
// A second look. The update in between continues exactly where the first record was.
constexpr u64 kTsc = 2'000'000;
constexpr u64 kUpdate = 1'500'000;
constexpr u64 kGoesOn = 5'000'600'000;

constexpr ClockSample with_flags(ClockSample of, u8 flags) {
    of.flags = flags;
    return of;
}

struct Expected {
    EventKind kind;
    s64 value;
};

struct Row {
    const char* what;
    ClockSample before;
    ClockSample now;
    bool stable_offered;
    u32 count;
    Expected expected[3];
};

void expect(Test& test, const Row& row) {
    const Disruptions found = compare(row.before, row.now, row.stable_offered);
    bool right = test.equal("how many", found.count(), row.count);
    u32 at = 0;
    for (const Disruption& one : found) {
        if (at == row.count) break;
        right &= test.equal("kind", one.kind, row.expected[at].kind);
        right &= test.equal("value", one.value, row.expected[at].value);
        ++at;
    }
    if (!right) test.note([&](LineWriter& out) { out << row.what; });
}

template <u32 kCount>
void expect_all(Test& test, const Row (&rows)[kCount]) {
    for (const Row& row : rows) expect(test, row);
}

}  // namespace

KVMPV_TEST(disruption, clock_goes_on) {
    Test test(handle);
    static constexpr ClockSample kUnknown{};
    static constexpr Row kRows[] = {
        {"the same record later", kBefore, sample(kTsc, 900'000, 5'000'000'000), true, 0, {}},
        {"an update", kBefore, sample(kTsc, kUpdate, kGoesOn), true, 0, {}},
        {"at the very look", kBefore, sample(kTsc, 1'000'000, 5'000'100'000), true, 0, {}},
        {"seen when it is made", kBefore, sample(kUpdate, kUpdate, kGoesOn), true, 0, {}},
        {"the first look", kUnknown, kBefore, true, 0, {}},
        {"no record yet", kUnknown, kUnknown, true, 0, {}},
    };
    expect_all(test, kRows);
}

KVMPV_TEST(disruption, steps_under_the_promise) {
    Test test(handle);
    constexpr EventKind kForward = EventKind::kJumpForward;
    constexpr EventKind kBackward = EventKind::kJumpBackward;
    static constexpr Row kRows[] = {
        {"2 ns", kBefore, sample(kTsc, kUpdate, kGoesOn + 2), true, 0, {}},
        {"3 ns", kBefore, sample(kTsc, kUpdate, kGoesOn + 3), true, 1, {{kForward, 3}}},
        {"-2 ns", kBefore, sample(kTsc, kUpdate, kGoesOn - 2), true, 0, {}},
        {"-3 ns", kBefore, sample(kTsc, kUpdate, kGoesOn - 3), true, 1, {{kBackward, 3}}},
        {"an hour",
         kBefore,
         sample(kTsc, kUpdate, kGoesOn + 3'600'000'000'000),
         true,
         1,
         {{kForward, 3'600'000'000'000}}},
        {"in place",
         kBefore,
         sample(kTsc, 900'000, 6'000'000'000),
         true,
         1,
         {{kForward, 1'000'000'000}}},
        {"in place, back",
         kBefore,
         sample(kTsc, 900'000, 4'000'000'000),
         true,
         1,
         {{kBackward, 1'000'000'000}}},
        {"an older moment",
         kBefore,
         sample(kTsc, 800'000, 4'999'900'007),
         true,
         1,
         {{kForward, 7}}},
    };
    expect_all(test, kRows);
}

// 100 us plus 500 ppm of the longer of the two extrapolations, which is 1.1 ms here and counts in
// whole ms.
KVMPV_TEST(disruption, steps_without_the_promise) {
    Test test(handle);
    static constexpr ClockSample kNow = sample(kTsc, kUpdate, kGoesOn + 100'500, 0);
    static constexpr ClockSample kMore = sample(kTsc, kUpdate, kGoesOn + 100'501, 0);
    static constexpr ClockSample kLess = sample(kTsc, kUpdate, kGoesOn - 100'500, 0);
    static constexpr ClockSample kFar = sample(kTsc, kUpdate, kGoesOn - 100'501, 0);
    static constexpr ClockSample kOld = with_flags(kBefore, 0);
    static constexpr Row kRows[] = {
        {"within", kOld, kNow, true, 0, {}},
        {"beyond", kOld, kMore, true, 1, {{EventKind::kJumpForward, 100'501}}},
        {"within, back", kOld, kLess, true, 0, {}},
        {"beyond, back", kOld, kFar, true, 1, {{EventKind::kJumpBackward, 100'501}}},
        {"flag without a meaning", kBefore, with_flags(kNow, kStable), false, 0, {}},
        {"the same, beyond",
         kBefore,
         with_flags(kMore, kStable),
         false,
         1,
         {{EventKind::kJumpForward, 100'501}}},
    };
    expect_all(test, kRows);
}

KVMPV_TEST(disruption, rate) {
    Test test(handle);
    constexpr EventKind kRate = EventKind::kRateChanged;
    constexpr s64 kBillion = 1'000'000'000;
    const auto now = [](u32 mul, s8 shift, u64 system_time_ns = kGoesOn) {
        return sample(kTsc, kUpdate, system_time_ns, kStable, mul, shift);
    };
    const Row rows[] = {
        {"half", kBefore, now(kHalf / 2, 1), true, 1, {{kRate, -kBillion / 2}}},
        {"double by shift", kBefore, now(kHalf, 2), true, 1, {{kRate, kBillion}}},
        {"quarter by shift", kBefore, now(kHalf, -1), true, 1, {{kRate, -kBillion / 4 * 3}}},
        {"another spelling", kBefore, now(kHalf / 2, 2), true, 1, {{kRate, 0}}},
        {"one step of the multiplier", kBefore, now(kHalf + 1, 1), true, 1, {{kRate, 0}}},
        {"ten steps", kBefore, now(kHalf + 10, 1), true, 1, {{kRate, 4}}},
        {"ten steps down", kBefore, now(kHalf - 10, 1), true, 1, {{kRate, -5}}},
        {"and a jump",
         kBefore,
         now(kHalf, 2, kGoesOn + 70),
         true,
         2,
         {{kRate, kBillion}, {EventKind::kJumpForward, 70}}},
        // The old record was in force at the look before. The new rate counts from there on.
        {"in place",
         kBefore,
         sample(kTsc, 900'000, 5'000'000'000, kStable, kHalf, 2),
         true,
         2,
         {{kRate, kBillion}, {EventKind::kJumpForward, 100'000}}},
        {"no multiplier", kBefore, now(0, 1), true, 1, {{kRate, -kBillion}}},
    };
    expect_all(test, rows);
    const auto ppb = [](u32 mul, s8 shift, u32 new_mul, s8 new_shift) {
        return disruption::rate_change_ppb(sample(0, 0, 0, 0, mul, shift),
                                           sample(0, 0, 0, 0, new_mul, new_shift));
    };
    test.equal("from nothing", ppb(0, 0, 1, 0), kMost);
    test.equal("least to most", ppb(1, -31, 0xffff'ffff, 31), kMost - kBillion);
    test.equal("most to least", ppb(0xffff'ffff, 31, 1, -31), -kBillion);
    test.equal("nearly most", ppb(1, 0, 0xffff'ffff, 0), 4'294'967'294'000'000'000);
    test.equal("by 31 bits", ppb(1, -31, 1, 0), 2'147'483'647'000'000'000);
}

KVMPV_TEST(disruption, pause) {
    Test test(handle);
    constexpr EventKind kPause = EventKind::kPause;
    // 3 s later, but the clock has advanced by 100 us only since the look.
    const ClockSample stopped = sample(3'001'000'000, 3'000'900'000, 5'000'200'000);
    // 20 ms later.
    const auto stood = [](u64 behind_ns) {
        return sample(21'000'000, 20'000'000, 5'019'100'000 - behind_ns);
    };
    const Row rows[] = {
        {"told",
         kBefore,
         with_flags(stopped, kStable | kStopped),
         true,
         1,
         {{kPause, 2'999'800'000}}},
        {"recognised", kBefore, stopped, true, 1, {{kPause, 2'999'800'000}}},
        {"without the promise",
         with_flags(kBefore, 0),
         with_flags(stopped, 0),
         true,
         1,
         {{kPause, 2'999'800'000}}},
        {"10 ms", kBefore, stood(10'000'000), true, 1, {{kPause, 10'000'000}}},
        {"shorter", kBefore, stood(9'999'999), true, 1, {{EventKind::kJumpBackward, 9'999'999}}},
        {"down to the last look", kBefore, stood(19'000'000), true, 1, {{kPause, 19'000'000}}},
        {"behind the last look",
         kBefore,
         stood(19'000'001),
         true,
         1,
         {{EventKind::kJumpBackward, 19'000'001}}},
        // Behind by a second at the update, but no longer behind the last look by now.
        {"behind at first",
         kBefore,
         sample(3'000'000'000, 20'000'000, 4'019'100'000),
         true,
         1,
         {{EventKind::kJumpBackward, 1'000'000'000}}},
        {"told, no time lost",
         kBefore,
         with_flags(sample(kTsc, kUpdate, kGoesOn), 3),
         true,
         1,
         {{kPause, 0}}},
        {"told, without an update", kBefore, with_flags(kBefore, 3), true, 1, {{kPause, 0}}},
        {"told before", with_flags(kBefore, 3), with_flags(kBefore, 3), true, 0, {}},
        {"told, and forward",
         kBefore,
         with_flags(sample(kTsc, kUpdate, kGoesOn + 9), 3),
         true,
         2,
         {{EventKind::kJumpForward, 9}, {kPause, 0}}},
        {"again, nobody took note",
         with_flags(kBefore, 3),
         with_flags(stopped, 3),
         true,
         1,
         {{kPause, 2'999'800'000}}},
    };
    expect_all(test, rows);
}

KVMPV_TEST(disruption, promise) {
    Test test(handle);
    static constexpr ClockSample kNow = sample(kTsc, kUpdate, kGoesOn);
    static constexpr ClockSample kWithout = with_flags(kNow, 0);
    static constexpr ClockSample kOld = with_flags(kBefore, 0);
    static constexpr Row kRows[] = {
        {"lost", kBefore, kWithout, true, 1, {{EventKind::kStableLost, 0}}},
        {"gained", kOld, kNow, true, 1, {{EventKind::kStableGained, 0}}},
        {"never there", kOld, kWithout, true, 0, {}},
        {"without a meaning", kBefore, kWithout, false, 0, {}},
    };
    expect_all(test, kRows);
}

KVMPV_TEST(disruption, record_that_cannot_be_read) {
    Test test(handle);
    constexpr EventKind kBadShift = EventKind::kBadShift;
    constexpr EventKind kBehind = EventKind::kTscBehind;
    const ClockSample good = sample(kTsc, kUpdate, kGoesOn);
    const ClockSample shifted = sample(kTsc, kUpdate, kGoesOn, kStable, kHalf, 32);
    const ClockSample ahead = sample(kTsc, kTsc + 1, kGoesOn);
    ClockSample torn = kBefore;
    torn.torn = true;
    const ClockSample unknown{};
    const Row rows[] = {
        {"torn", kBefore, torn, true, 1, {{EventKind::kRecordTorn, 0}}},
        {"still torn", torn, torn, true, 0, {}},
        {"whole again", torn, good, true, 0, {}},
        {"shift", kBefore, shifted, true, 1, {{kBadShift, 32}}},
        {"the same shift", shifted, shifted, true, 0, {}},
        {"the least",
         kBefore,
         sample(kTsc, kUpdate, kGoesOn, kStable, kHalf, -128),
         true,
         1,
         {{kBadShift, -128}}},
        {"a shift again", shifted, good, true, 0, {}},
        {"shift at once", unknown, shifted, true, 1, {{kBadShift, 32}}},
        {"ahead", kBefore, ahead, true, 1, {{kBehind, 1}}},
        {"still ahead", ahead, ahead, true, 0, {}},
        {"ahead at once", unknown, ahead, true, 1, {{kBehind, 1}}},
        {"no longer ahead", ahead, good, true, 0, {}},
    };
    expect_all(test, rows);
}

KVMPV_TEST(disruption, tsc_goes_back) {
    Test test(handle);
    constexpr EventKind kBackward = EventKind::kTscBackward;
    static constexpr Row kRows[] = {
        {"the clock goes on",
         kBefore,
         sample(500'000, 400'000, 5'000'050'000),
         true,
         1,
         {{kBackward, 500'000}}},
        {"the clock stands",
         kBefore,
         sample(500'000, 400'000, 5'000'000'000),
         true,
         1,
         {{kBackward, 500'000}}},
        {"the clock falls",
         kBefore,
         sample(500'000, 400'000, 4'999'999'999),
         true,
         2,
         {{EventKind::kJumpBackward, 1}, {kBackward, 500'000}}},
    };
    expect_all(test, kRows);
}

KVMPV_TEST(disruption, cpus_disagree) {
    Test test(handle);
    const ClockSample other = sample(1'000'500, 950'000, 5'000'050'000);
    test.equal("another update of the same clock", disagreement_ns(kBefore, other), 0);
    ClockSample ahead = other;
    ahead.system_time_ns += 1'001;
    test.equal("ahead", disagreement_ns(kBefore, ahead), 1'001);
    ClockSample behind = other;
    behind.system_time_ns -= 999'999;
    test.equal("behind", disagreement_ns(kBefore, behind), 999'999);
    // 50'500 ticks since its update, at twice the rate.
    ClockSample faster = other;
    faster.tsc_shift = 2;
    test.equal("faster", disagreement_ns(kBefore, faster), 50'500);

    ClockSample torn = ahead;
    torn.torn = true;
    test.equal("torn", disagreement_ns(kBefore, torn), 0);
    test.equal("never seen", disagreement_ns(kBefore, ClockSample{}), 0);
    test.equal("no promise", disagreement_ns(kBefore, with_flags(ahead, 0)), 0);
    test.equal("no promise of ours", disagreement_ns(with_flags(kBefore, 0), ahead), 0);
    ClockSample early = ahead;
    early.tsc = 899'999;
    early.tsc_timestamp = 800'000;
    test.equal("before our update", disagreement_ns(kBefore, early), 0);
}

KVMPV_TEST(disruption, look) {
    Test test(handle);
    ScriptedHost host;
    const ClockSample none{};
    {
        ScriptedMachine machine(host, kUndisturbed);
        const ClockSample seen = look(machine, host.record(0), none);
        test.is_true("known", seen.known);
        test.equal("time", seen.ns_at(seen.tsc), machine.true_ns_at_tsc());
        test.equal("flags", seen.flags, kStable);
        test.equal("against itself", compare(seen, seen, true).count(), 0);
    }
    // An update between any two accesses: the look finds the old record or the new one, never a
    // mix.
    for (u32 at = 0; at < 12; ++at) {
        ScriptedHost other;
        ScriptedMachine machine(other, [&](u32 access) {
            if (access == at) other.change_clock(kSlow, 1'000);
        });
        const ClockSample seen = look(machine, other.record(0), none);
        if (!test.equal("time when the TSC was read", seen.ns_at(seen.tsc),
                        machine.true_ns_at_tsc()))
            return test.note([&](LineWriter& out) { out << "update before access " << at; });
    }
    {
        ScriptedHost other;
        other.begin_rewrite(0);
        ScriptedMachine machine(other, kUndisturbed);
        const ClockSample seen = look(machine, other.record(0), kBefore);
        test.is_true("ended by itself", machine.ended_by_itself());
        test.is_true("torn", seen.torn);
        test.equal("the fields stay", seen.tsc_timestamp, kBefore.tsc_timestamp);
        test.equal("the TSC stays", seen.tsc, kBefore.tsc);
    }
    const PvclockVcpuTimeInfo zeros{};
    ScriptedMachine machine(host, kUndisturbed);
    test.is_false("never written", look(machine, zeros, none).known);
}

KVMPV_TEST(disruption, kinds_have_names) {
    Test test(handle);
    for (u32 kind = 0; kind < kNumEventKinds; ++kind) {
        test.is_true("a name", kEventKinds[kind].name && *kEventKinds[kind].name);
        for (u32 other = 0; other < kind; ++other)
            test.is_false("a name of its own",
                          same_text(kEventKinds[kind].name, kEventKinds[other].name));
    }
    test.equal("first", info(EventKind::kRateChanged).name, "rate_changed");
    test.equal("last", info(EventKind::kStealForward).name, "steal_forward");
}

KVMPV_SUITE(disruption);
