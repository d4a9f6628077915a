// SPDX-License-Identifier: GPL-2.0-only
//
// The guarded path of pvclock.hh: whatever the host writes, time never goes back and no read runs
// for ever. And what a read counts when it cannot believe the record.

#include "guarded_read.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

constexpr u64 kLargest = ~u64{0};

void expect_counted(Test& test, u64 counted, u64 of_that_kind, u64 expected) {
    test.equal("counted, of that kind", of_that_kind, expected);
    test.equal("counted, of any kind", counted, expected);
}

}  // namespace

// ---- The guard alone --------------------------------------------------------------------------

KVMPV_TEST(guard, goes_forward) {
    Test test(handle);
    ScriptedHost host;
    ScriptedMachine machine(host, kUndisturbed);
    MonotonicGuard guard;
    test.equal("at first", guard.last_ns(), 0);
    for (const u64 ns : {1ull, 2ull, 1'000'000'000ull, 0x8000'0000'0000'0000ull}) {
        test.equal("answer", guard.advance(machine, ns), ns);
        test.equal("last", guard.last_ns(), ns);
    }
    test.equal("counted", machine.counted(), 0);
}

KVMPV_TEST(guard, holds_back) {
    Test test(handle);
    ScriptedHost host;
    ScriptedMachine machine(host, kUndisturbed);
    MonotonicGuard guard;
    guard.advance(machine, 1000);
    test.equal("1 ns back", guard.advance(machine, 999), 1000);
    test.equal("100 ns back", guard.advance(machine, 900), 1000);
    test.equal("10 ns back", guard.advance(machine, 990), 1000);
    test.equal("last", guard.last_ns(), 1000);
    expect_counted(test, machine.counted(), machine.count_of(ClockCounter::kHeldBack), 3);
    test.equal("largest step", machine.largest_held_back_ns(), 100);
    test.equal("forward again", guard.advance(machine, 1001), 1001);
    test.equal("counted", machine.counted(), 3);
}

KVMPV_TEST(guard, equal_is_no_step) {
    Test test(handle);
    ScriptedHost host;
    ScriptedMachine machine(host, kUndisturbed);
    MonotonicGuard guard;
    test.equal("0 at the start", guard.advance(machine, 0), 0);
    test.equal("5", guard.advance(machine, 5), 5);
    test.equal("5 again", guard.advance(machine, 5), 5);
    test.equal("counted", machine.counted(), 0);
}

KVMPV_TEST(guard, whole_range) {
    Test test(handle);
    ScriptedHost host;
    ScriptedMachine machine(host, kUndisturbed);
    MonotonicGuard guard;
    // Times are compared unsigned.
    test.equal("2^63 - 1", guard.advance(machine, kLargest / 2), kLargest / 2);
    test.equal("2^63", guard.advance(machine, kLargest / 2 + 1), kLargest / 2 + 1);
    test.equal("2^64 - 1", guard.advance(machine, kLargest), kLargest);
    test.equal("0 after that", guard.advance(machine, 0), kLargest);
    test.equal("largest step", machine.largest_held_back_ns(), kLargest);
}

// ---- The horizon ------------------------------------------------------------------------------

// A machine whose time is what it is set to.
struct TimeAt {
    u64 now_ns;
    u64 counted = 0;
    u64 latest_ns() const { return now_ns; }
    void count(ClockCounter counter) { counted += counter == ClockCounter::kTooFarAhead; }
    void held_back(u64) {}
};

KVMPV_TEST(guard, first_value_is_believed) {
    Test test(handle);
    TimeAt machine{0};
    MonotonicGuard guard;
    test.equal("whatever it is", guard.advance(machine, 1ull << 60), 1ull << 60);
    test.equal("too far ahead", machine.counted, 0);
}

KVMPV_TEST(guard, ahead_of_time) {
    Test test(handle);
    TimeAt machine{1'000'000};
    MonotonicGuard guard;
    guard.advance(machine, 1'000'000);
    machine.now_ns = 5 * kMaxAheadNs;
    const u64 most_ns = 6 * kMaxAheadNs;
    test.equal("as far as may be", guard.advance(machine, most_ns), most_ns);
    test.equal("too far ahead", machine.counted, 0);
    test.equal("1 ns more", guard.advance(machine, most_ns + 1), most_ns);
    test.equal("the largest", guard.advance(machine, kLargest), most_ns);
    test.equal("too far ahead", machine.counted, 2);
    // Only elapsed time moves the horizon on, not what has been handed out.
    machine.now_ns += 7;
    test.equal("7 ns later", guard.advance(machine, kLargest), most_ns);
    test.equal("7 ns later, 7 ns more", guard.advance(machine, most_ns + 7), most_ns + 7);
    test.equal("7 ns later, 8 ns more", guard.advance(machine, most_ns + 8), most_ns + 7);
}

// If the record cannot be true, the elapsed time decides.
KVMPV_TEST(guard, goes_on_without_the_record) {
    Test test(handle);
    TimeAt machine{1'000};
    MonotonicGuard guard;
    guard.advance(machine, 1'000);
    for (u64 at_ns = 2'000; at_ns < 20 * kMaxAheadNs; at_ns += kMaxAheadNs / 3) {
        machine.now_ns = at_ns;
        if (!test.equal("answer", guard.advance(machine, kLargest - at_ns), at_ns)) return;
    }
    test.equal("believed again", guard.advance(machine, machine.now_ns + 1), machine.now_ns + 1);
}

// After sleep the TSC may have started anew.
KVMPV_TEST(guard, forgets_the_horizon) {
    Test test(handle);
    TimeAt machine{1'000};
    MonotonicGuard guard;
    guard.advance(machine, 1'000);
    const u64 slept_ns = 3'600'000'000'000;
    test.equal("an hour later, untold", guard.advance(machine, slept_ns), 1'000);
    guard.forget_horizon();
    test.equal("an hour later", guard.advance(machine, slept_ns), slept_ns);
    test.equal("and another", guard.advance(machine, 2 * slept_ns), slept_ns);
}

KVMPV_TEST(guard, horizon_at_the_end_of_64_bits) {
    Test test(handle);
    TimeAt machine{kLargest - 5};
    MonotonicGuard guard;
    guard.advance(machine, kLargest - 10);
    test.equal("does not wrap", guard.advance(machine, kLargest), kLargest);
    test.equal("too far ahead", machine.counted, 0);
}

// ---- One record -------------------------------------------------------------------------------

namespace {

template <class Machine>
u64 read_from_start(Machine& machine, MonotonicGuard& guard) {
    machine.rewind();
    return read_guarded(machine, guard);
}

}  // namespace

KVMPV_TEST(guard, exact_time) {
    Test test(handle);
    expect_exact(test, kClockVectors);
}

KVMPV_TEST(guard, selftest_offsets) {
    Test test(handle);
    expect_exact(test, kSelftestOffsets);
}

KVMPV_TEST(guard, interrupts_off_and_back) {
    Test test(handle);
    for (const bool off_before : {false, true}) {
        ScriptedHost host;
        host.set_interrupts_off(off_before);
        ScriptedMachine machine(host, [&](u32) { host.run_on(1); });
        MonotonicGuard guard;
        const u64 ns = read_guarded_again(machine, guard);
        test.equal("time when the TSC was read", ns, machine.true_ns_at_tsc());
        test.equal("accesses with interrupts on", machine.accesses_with_interrupts_on(), 0);
        test.equal("interrupts off afterwards", host.interrupts_off(), off_before);
        test.equal("CPU", host.cpu(), 0);
        test.at_least("attempts to move the thread", host.moves_refused(), 1);
    }
}

namespace {

// A record that cannot be believed. Every read returns the guard's last time and counts one of
// `kind`.
template <class Spoil>
void expect_last_value(Test& test, ClockCounter kind, Spoil&& spoil) {
    ScriptedHost host;
    ScriptedMachine machine(host, kUndisturbed);
    machine.set_stable_offered(false);
    MonotonicGuard guard;
    const u64 last_ns = read_from_start(machine, guard);
    test.equal("while it is right", last_ns, machine.true_ns_at_tsc());
    test.equal("counted while it is right", machine.counted(), 0);

    spoil(host);
    for (u64 reads = 1; reads <= 3; ++reads) {
        test.equal("answer", read_from_start(machine, guard), last_ns);
        test.is_true("ended by itself", machine.ended_by_itself());
        expect_counted(test, machine.counted(), machine.count_of(kind), reads);
    }
    test.is_false("interrupts off afterwards", host.interrupts_off());
}

}  // namespace

KVMPV_TEST(guard, torn_for_ever) {
    Test test(handle);
    expect_last_value(test, ClockCounter::kTorn, [](ScriptedHost& host) { host.begin_rewrite(0); });

    ScriptedHost host;
    ScriptedMachine machine(host, [&](u32) { host.rewrite(0); });
    MonotonicGuard guard;
    test.equal("a new version at every look", read_guarded(machine, guard), 0);
    test.is_true("ended by itself", machine.ended_by_itself());
    expect_counted(test, machine.counted(), machine.count_of(ClockCounter::kTorn), 1);
    test.between("accesses", machine.accesses(), kVersionReadAttempts, kVersionReadAttempts * 10);
}

KVMPV_TEST(guard, impossible_shift) {
    Test test(handle);
    for (const int shift : {-128, -127, -33, -32, 32, 33, 64, 127})
        expect_last_value(test, ClockCounter::kBadShift, [&](ScriptedHost& host) {
            host.record(0).tsc_shift = static_cast<s8>(shift);
        });
}

KVMPV_TEST(guard, timestamp_ahead_of_tsc) {
    Test test(handle);
    for (const u64 ahead : {1ull, 1'000'000ull, 0x8000'0000'0000'0000ull}) {
        ScriptedHost host;
        host.record(0).tsc_timestamp = host.tsc() + ahead;
        ScriptedMachine machine(host, kUndisturbed);
        machine.set_ticks_per_access(0);
        MonotonicGuard guard;
        test.equal("the host's time of the update", read_from_start(machine, guard),
                   ScriptedHost::kStartNs);
        expect_counted(test, machine.counted(), machine.count_of(ClockCounter::kTscBehind), 1);
        // The guard holds that back, too, once a later time has been handed out.
        guard.advance(machine, ScriptedHost::kStartNs + 10);
        test.equal("held", read_from_start(machine, guard), ScriptedHost::kStartNs + 10);
        test.equal("counted, held", machine.count_of(ClockCounter::kHeldBack), 1);
    }
}

KVMPV_TEST(guard, sum_beyond_64_bits) {
    Test test(handle);
    const auto answer = [](u64 system_time, u64 delta, u32 multiplier, s8 shift) {
        ScriptedHost host;
        host.record(0) = {2, 0, 0, system_time, multiplier, shift, 0, {}};
        host.set_tsc(delta);
        ScriptedMachine machine(host, kUndisturbed);
        machine.set_ticks_per_access(0);
        MonotonicGuard guard;
        return read_guarded(machine, guard);
    };
    // 2 ticks are 2 ns.
    test.equal("sum of 2^64 - 1", answer(kLargest - 2, 2, 0x8000'0000, 1), kLargest);
    test.equal("sum of 2^64", answer(kLargest - 1, 2, 0x8000'0000, 1), kLargest);
    test.equal("sum far beyond", answer(kLargest, kLargest / 2, 0xffff'ffff, 0), kLargest);
    test.equal("left shift that loses bits", answer(5, 0x2'0000'0000, 1, 31), kLargest);
}

KVMPV_TEST(guard, record_of_zeros) {
    Test test(handle);
    expect_last_value(test, ClockCounter::kNotReady,
                      [](ScriptedHost& host) { host.record(0) = {}; });

    // No time has been handed out yet.
    ScriptedHost host;
    host.record(0) = {};
    ScriptedMachine machine(host, kUndisturbed);
    machine.set_stable_offered(false);
    MonotonicGuard guard;
    test.equal("answer", read_guarded(machine, guard), 0);
}

// ---- A CPU without a record -------------------------------------------------------------------

namespace {

constexpr PvclockVcpuTimeInfo kNoPage{};

}  // namespace

KVMPV_TEST(guard, no_record_but_a_promise) {
    Test test(handle);
    ScriptedHost host;
    ScriptedMachine machine(host, kUndisturbed);
    machine.set_record(0, &kNoPage);
    machine.set_fallback_cpu(1);
    MonotonicGuard guard;
    const u64 ns = read_from_start(machine, guard);
    test.equal("by the other CPU's record", ns, machine.true_ns_at_tsc());
    expect_counted(test, machine.counted(), machine.count_of(ClockCounter::kNotReady), 1);

    machine.set_stable_offered(false);
    test.equal("not offered: the last value", read_from_start(machine, guard), ns);
    expect_counted(test, machine.counted(), machine.count_of(ClockCounter::kNotReady), 2);
}

KVMPV_TEST(guard, no_record_and_a_broken_promise) {
    Test test(handle);
    ScriptedHost host;
    ScriptedMachine machine(host, kUndisturbed);
    machine.set_record(0, &kNoPage);
    machine.set_fallback_cpu(1);
    MonotonicGuard guard;

    host.record(1).flags = 0;
    test.equal("without the flag", read_from_start(machine, guard), 0);
    host.record(1) = {};
    host.record(1).flags = kPvclockTscStable;
    test.equal("never written", read_from_start(machine, guard), 0);
    expect_counted(test, machine.counted(), machine.count_of(ClockCounter::kNotReady), 2);

    host.rewrite(1);
    host.record(1).tsc_shift = 99;
    test.equal("impossible shift", read_from_start(machine, guard), 0);
    test.equal("counted, impossible shift", machine.count_of(ClockCounter::kBadShift), 1);
}

// ---- The host writes --------------------------------------------------------------------------

KVMPV_TEST(guard, half_written_system_time) {
    Test test(handle);
    expect_true_time_half_written(test, 11, 20);
}

// The version is a counter. After 2^31 updates it is 0 again, although the record is in use.
KVMPV_TEST(guard, version_wraps) {
    Test test(handle);
    for (u32 at = 0; at <= 9; ++at) {
        ScriptedHost host;
        host.set_versions(0xffff'fffe);
        const bool right = expect_true_time(test, host, [&](u32 access) {
            if (access == at) host.change_clock(kSlow);
        });
        if (!right) return test.note([&](LineWriter& out) { out << "before access " << at; });
    }
}

KVMPV_TEST(guard, cpus_that_disagree) {
    Test test(handle);
    ScriptedHost host;
    host.record(0).flags = 0;
    host.record(1).flags = 0;
    host.record(1).system_time -= 1'000'000;
    ScriptedMachine machine(host, kUndisturbed);
    MonotonicGuard guard;
    u64 last_ns = 0;
    for (u32 read = 0; read < 1000; ++read) {
        host.run_on(read % 2);
        const u64 ns = read_from_start(machine, guard);
        if (!test.at_least("not below the last read", ns, last_ns)) return;
        if (read % 2 == 0 && !test.equal("the CPU ahead", ns, machine.true_ns_at_tsc())) return;
        last_ns = ns;
    }
    // Every second read was on the CPU that is 1 ms behind, and a little time passes in between.
    test.equal("held back", machine.count_of(ClockCounter::kHeldBack), 500);
    test.between("largest step", machine.largest_held_back_ns(), 1, 1'000'000);
}

// One CPU's record is ahead for a while. On both CPUs time goes on at its own pace, and afterwards
// it is what the records say.
KVMPV_TEST(guard, one_record_far_ahead) {
    Test test(handle);
    for (const u64 ahead_ns : {2'100'000'000ull, 3'600'000'000'000ull, 1ull << 62}) {
        ScriptedHost host;
        host.set_flags(0);
        for (u32 cpu = 0; cpu < ScriptedHost::kNumCpus; ++cpu) host.rewrite(cpu);
        ScriptedMachine machine(host, kUndisturbed);
        machine.set_true_pace(true);
        MonotonicGuard guard;
        u64 last_ns = read_from_start(machine, guard);
        const auto read_on = [&](u32 cpu) {
            host.pass(1'000'000 * kTickUnit);
            host.run_on(cpu);
            const u64 ns = read_from_start(machine, guard);
            const bool right =
                test.at_least("not below the last read", ns, last_ns) &&
                test.between("as time has it", ns, machine.true_ns_at_tsc(), host.true_ns());
            last_ns = ns;
            return right;
        };
        host.record(1).system_time += ahead_ns;
        for (u32 read = 0; read < 100; ++read)
            if (!read_on(read % 2)) return;
        test.equal("too far ahead", machine.count_of(ClockCounter::kTooFarAhead), 50);
        host.record(1).system_time -= ahead_ns;
        for (u32 read = 0; read < 100; ++read)
            if (!read_on(read % 2)) return;
        test.equal("too far ahead", machine.count_of(ClockCounter::kTooFarAhead), 50);
        test.equal("held back", machine.count_of(ClockCounter::kHeldBack), 0);
    }
}

KVMPV_TEST(guard, random_records) {
    Test test(handle);
    Xorshift random(0x2545'f491'4f6c'dd1d);
    ScriptedHost host;
    // The host scribbles on the record before about every fourth access.
    ScriptedMachine machine(host, [&](u32) {
        const u64 dice = random.next();
        if (dice % 4) return;
        PvclockVcpuTimeInfo& record = host.record(0);
        record.version += static_cast<u32>(dice >> 32) % 4;
        record.tsc_timestamp = random.next() >> (dice >> 8) % 64;
        record.system_time = random.next() >> (dice >> 16) % 64;
        record.tsc_to_system_mul = static_cast<u32>(random.next());
        record.tsc_shift = static_cast<s8>((dice >> 24) % 96) - 48;
        record.flags = static_cast<u8>(random.next());
    });
    // A new guard every few reads, because sooner or later each has handed out the largest time.
    for (u32 round = 0; round < 400; ++round) {
        MonotonicGuard guard;
        u64 last_ns = 0;
        for (u32 read = 0; read < 10; ++read) {
            host.set_tsc(random.next() >> 2);
            const u64 ns = read_from_start(machine, guard);
            const bool right = test.at_least("not below the last read", ns, last_ns) &&
                               test.equal("the guard's last", ns, guard.last_ns()) &&
                               test.is_true("ended by itself", machine.ended_by_itself());
            if (!right) return test.note([&](LineWriter& out) { out << "round " << round; });
            last_ns = ns;
        }
    }
    test.at_least("bad shifts", machine.count_of(ClockCounter::kBadShift), 1);
    test.at_least("TSC behind", machine.count_of(ClockCounter::kTscBehind), 1);
    test.at_least("held back", machine.count_of(ClockCounter::kHeldBack), 1);
}

KVMPV_SUITE(guard);
