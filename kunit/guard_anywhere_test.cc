// SPDX-License-Identifier: GPL-2.0-only
//
// The first attempt of pvclock.hh's guarded path. It disables neither preemption nor interrupts, so
// the thread may move at any point. Still it never uses one CPU's record with another CPU's TSC.

#include "guarded_read.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

// Beyond all accesses of an attempt and the first ones of the next.
constexpr u32 kLastAccess = 16;

// One CPU's record with the other CPU's TSC is wrong by this: more than a second.
constexpr u64 kTscAhead = 1'000'000'000 * kTickUnit;

// The thread leaves before any access, and returns before any that comes `shortest` or more later.
// meanwhile(host) is called when it arrives at the other CPU.
template <class Meanwhile>
void expect_true_time_after_trips(Test& test, u32 shortest, Meanwhile meanwhile) {
    for (u32 away = 0; away <= kLastAccess; ++away) {
        for (u32 back = away + shortest; back <= kLastAccess + shortest; ++back) {
            ScriptedHost host;
            host.set_tsc_ahead(1, kTscAhead);
            const bool right = expect_true_time(test, host, [&](u32 access) {
                if (access == away) {
                    host.run_on(1);
                    meanwhile(host);
                }
                if (access == back) host.run_on(0);
            });
            if (right) continue;
            return test.note([&](LineWriter& out) {
                out << "away before access " << away << ", back before " << back;
            });
        }
    }
}

}  // namespace

KVMPV_TEST(guard_anywhere, exact_time) {
    Test test(handle);
    expect_exact(test, kClockVectors);
}

KVMPV_TEST(guard_anywhere, switches_nothing_off) {
    Test test(handle);
    ScriptedHost host;
    ScriptedMachine machine(host, kUndisturbed);
    OpenGuard guard;
    const u64 ns = read_guarded(machine, guard);
    test.equal("time when the TSC was read", ns, machine.true_ns_at_tsc());
    test.equal("accesses with interrupts on", machine.accesses_with_interrupts_on(),
               machine.accesses());
    test.equal("thread, pointer, version, TSC, thread, record, version", machine.trace(),
               "SPVTSFFFFV");
}

// ---- The thread moves -------------------------------------------------------------------------

KVMPV_TEST(guard_anywhere, moves_and_stays) {
    Test test(handle);
    for (u32 at = 0; at <= kLastAccess; ++at) {
        ScriptedHost host;
        host.set_tsc_ahead(1, kTscAhead);
        const bool right = expect_true_time(test, host, [&](u32 access) {
            if (access == at) host.run_on(1);
        });
        if (!right) return test.note([&](LineWriter& out) { out << "before access " << at; });
    }
}

KVMPV_TEST(guard_anywhere, moves_and_comes_back) {
    Test test(handle);
    expect_true_time_after_trips(test, 0, [](ScriptedHost&) {});
}

// While the thread is away the host changes the clock. CPU 0's record is out of date until CPU 0
// runs.
KVMPV_TEST(guard_anywhere, clock_changes_while_away) {
    Test test(handle);
    expect_true_time_after_trips(test, 1, [](ScriptedHost& host) {
        if (!host.interrupts_off()) host.change_clock(kSlow, 5'000'000'000);
    });
}

KVMPV_TEST(guard_anywhere, half_written_system_time) {
    Test test(handle);
    expect_true_time_half_written(test, kLastAccess, kLastAccess + 8);
}

// ---- Between the TSC and the guard ------------------------------------------------------------

namespace {

// Just before this reader gets to the guard, another CPU hands out a time that is `ns` later.
struct Overtaken {
    u64 answer_ns;
    u64 overtaken_by_ns;
    u64 own_ns;  // the true time at the reader's last TSC
    u64 held_back;
    u64 largest_held_back_ns;
};

Overtaken overtaken_by(u64 ns) {
    constexpr u32 kVersionAgain = 9;  // of "SPVTSFFFFV"
    ScriptedHost host;
    OpenGuard guard;
    u64 other_ns = 0;
    const auto script = [&](u32 access) {
        if (access != kVersionAgain) return;
        // The TSC was read six accesses ago, and each access takes 100 units.
        other_ns = host.true_ns() - 6 * 100 * kTickUnit + ns;
        guard.raise(other_ns);
        host.pass(2 * ns);  // kEven: one tick is one nanosecond
    };
    ScriptedMachine machine(host, script);
    const u64 answer_ns = read_guarded(machine, guard);
    return {answer_ns, other_ns, machine.true_ns_at_tsc(),
            machine.count_of(ClockCounter::kHeldBack), machine.largest_held_back_ns()};
}

}  // namespace

// Another CPU reads at the same time. The answer is the later of the two.
KVMPV_TEST(guard_anywhere, overtaken_by_a_little) {
    Test test(handle);
    const Overtaken read = overtaken_by(992);
    test.equal("answer", read.answer_ns, read.overtaken_by_ns);
    test.equal("held back", read.held_back, 1);
    test.equal("by", read.largest_held_back_ns, 992);
}

// An interrupt came. The reader reads again, and is not held back at all.
KVMPV_TEST(guard_anywhere, overtaken_by_far) {
    Test test(handle);
    const Overtaken read = overtaken_by(1'600'000);
    test.at_least("answer", read.answer_ns, read.overtaken_by_ns + 1);
    test.equal("answer", read.answer_ns, read.own_ns);
    test.equal("held back", read.held_back, 0);
}

// The records of two CPUs differ by more than an interrupt takes, so reading again does not help.
KVMPV_TEST(guard_anywhere, cpus_that_disagree) {
    Test test(handle);
    ScriptedHost host;
    host.record(1).system_time -= 1'000'000'000;
    ScriptedMachine machine(host, kUndisturbed);
    OpenGuard guard;
    u64 last_ns = 0;
    for (u32 read = 0; read < 1000; ++read) {
        host.run_on(read % 2);
        machine.rewind();
        const u64 ns = read_guarded(machine, guard);
        if (!test.at_least("not below the last read", ns, last_ns)) return;
        if (read % 2 == 0 && !test.equal("the CPU ahead", ns, machine.true_ns_at_tsc())) return;
        last_ns = ns;
    }
    test.equal("held back", machine.count_of(ClockCounter::kHeldBack), 500);
    test.between("largest step", machine.largest_held_back_ns(), 999'000'000, 1'000'000'000);
}

KVMPV_SUITE(guard_anywhere);
