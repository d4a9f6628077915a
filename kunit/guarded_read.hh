// SPDX-License-Identifier: GPL-2.0-only
//
// What a guarded read has to do on either machine, with RDTSCP or without.

#pragma once

#include "clock_vectors.hh"
#include "scripted_host.hh"
#include "test.hh"

namespace kvmpv::testing {
namespace {

template <template <class> class Machine>
void expect_exact(Test& test, std::span<const ClockVector> vectors) {
    for (const ClockVector& row : vectors) {
        ScriptedHost host;
        host.record(0) = row.record();
        // The guarded path is there for records without the promise.
        host.record(0).flags = 0;
        host.set_tsc(row.tsc);
        Machine machine(host, kUndisturbed);
        machine.set_ticks_per_access(0);
        MonotonicGuard guard;
        test.equal(row.name, read_guarded(machine, guard), row.expected_ns);
        test.equal(row.name, guard.last_ns(), row.expected_ns);
        test.equal(row.name, machine.counted(), 0);
    }
}

template <template <class> class Machine, class Script>
bool expect_true_time(Test& test, ScriptedHost& host, Script script) {
    Machine machine(host, script);
    machine.set_stable_offered(false);
    MonotonicGuard guard;
    const u64 ns = read_guarded(machine, guard);
    return test.equal("time when the TSC was read", ns, machine.true_ns_at_tsc()) &
           test.equal("counted", machine.counted(), 0) &
           test.is_false("interrupts off afterwards", host.interrupts_off());
}

// From before any access up to `last_begin` to before any up to `last_end`.
template <template <class> class Machine>
void expect_true_time_half_written(Test& test, u32 last_begin, u32 last_end) {
    for (u32 begin = 0; begin <= last_begin; ++begin) {
        for (u32 end = begin; end <= last_end; ++end) {
            ScriptedHost host(0x1'ffff'ff00);
            const bool right = expect_true_time<Machine>(test, host, [&](u32 access) {
                if (access == begin) {
                    host.pass(64 * kTickUnit);
                    host.begin_rewrite(0);
                }
                if (access == end) host.end_rewrite();
            });
            if (right) continue;
            return test.note([&](LineWriter& out) {
                out << "half written from before access " << begin << " to before " << end;
            });
        }
    }
}

}  // namespace
}  // namespace kvmpv::testing
