// SPDX-License-Identifier: GPL-2.0-only
//
// What the cases of the guarded path share: what a read has to return, undisturbed and disturbed.

#pragma once

#include "clock_vectors.hh"
#include "half_written.hh"
#include "scripted_host.hh"
#include "test.hh"

namespace kvmpv::testing {
namespace {

// A guard whose horizon is far away, so that the first attempt can succeed.
struct OpenGuard : MonotonicGuard {
    OpenGuard() { move_horizon(std::numeric_limits<u64>::max()); }
};

inline void expect_exact(Test& test, std::span<const ClockVector> vectors) {
    for (const ClockVector& row : vectors) {
        ScriptedHost host;
        host.record(0) = row.record();
        // The guarded path exists for records without the promise.
        host.record(0).flags = 0;
        host.set_tsc(row.tsc);
        ScriptedMachine machine(host, kUndisturbed);
        machine.set_ticks_per_access(0);
        OpenGuard guard;
        test.equal(row.name, read_guarded(machine, guard), row.expected_ns);
        test.equal(row.name, guard.last_ns(), row.expected_ns);
        test.equal(row.name, machine.counted(), 0);
    }
}

template <class Script>
bool expect_true_time(Test& test, ScriptedHost& host, Script script) {
    ScriptedMachine machine(host, script);
    machine.set_stable_offered(false);
    OpenGuard guard;
    const u64 ns = read_guarded(machine, guard);
    return test.equal("time when the TSC was read", ns, machine.true_ns_at_tsc()) &
           test.equal("counted", machine.counted(), 0) &
           test.is_false("interrupts off afterwards", host.interrupts_off());
}

inline void expect_true_time_half_written(Test& test, u32 last_begin, u32 last_end) {
    half_written(
        test, 0x1'ffff'ff00, 64 * kTickUnit, last_begin, last_end,
        [&](ScriptedHost& host, auto script) { return expect_true_time(test, host, script); });
}

}  // namespace
}  // namespace kvmpv::testing
