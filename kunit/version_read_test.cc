// SPDX-License-Identifier: GPL-2.0-only
//
// version_read.hh: what a reader takes between two looks at the version counts only if both are
// equal and even, and the reader does not try for ever.

#include "scripted_host.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

struct Outcome {
    bool ok;
    u32 takes;
    u64 taken;
    bool ended_by_itself;
};

// Reads CPU 0's system_time under the protocol. An attempt makes three accesses: the version, the
// field, the version again. So attempt n (from 0) begins with access 3 * n.
constexpr u32 kAccessesOfAnAttempt = 3;

template <class Script>
Outcome take_system_time(ScriptedHost& host, Script script) {
    ScriptedMachine machine(host, script);
    const PvclockVcpuTimeInfo& record = host.record(0);
    Outcome outcome{};
    outcome.ok = version_read(machine, record.version, [&] {
        ++outcome.takes;
        outcome.taken = machine.load(record.system_time);
    });
    outcome.ended_by_itself = machine.ended_by_itself();
    return outcome;
}

void expect(Test& test, const Outcome& outcome, u32 takes, u64 taken) {
    test.is_true("read", outcome.ok);
    test.equal("attempts", outcome.takes, takes);
    test.equal("taken", outcome.taken, taken);
    test.is_true("ended by itself", outcome.ended_by_itself);
}

void expect_given_up(Test& test, const Outcome& outcome) {
    test.is_false("read", outcome.ok);
    test.equal("attempts", outcome.takes, kVersionReadAttempts);
    test.is_true("ended by itself", outcome.ended_by_itself);
}

// Puts a value into the record, in place of what the scripted host's clock says.
void publish(ScriptedHost& host, u64 value) {
    host.record(0).version += 2;
    host.record(0).system_time = value;
}

}  // namespace

KVMPV_TEST(version_read, undisturbed) {
    Test test(handle);
    for (const u32 version : {0u, 2u, 0x7fff'fffeu, 0x8000'0000u, 0xffff'fffeu}) {
        ScriptedHost host;
        host.set_versions(version);
        expect(test, take_system_time(host, kUndisturbed), 1, ScriptedHost::kStartNs);
    }
}

KVMPV_TEST(version_read, begin_rounds_down) {
    Test test(handle);
    ScriptedHost host;
    ScriptedMachine machine(host, kUndisturbed);
    const auto begin = [&](u32 version) {
        host.set_versions(version);
        return version_begin(machine, host.record(0).version);
    };
    test.equal("of 0", begin(0), 0);
    test.equal("of 1", begin(1), 0);
    test.equal("of 2", begin(2), 2);
    test.equal("of 2^32 - 1", begin(0xffff'ffff), 0xffff'fffe);

    host.set_versions(7);
    test.is_false("7 since 6", version_unchanged(machine, host.record(0).version, 6));
    host.set_versions(6);
    test.is_true("6 since 6", version_unchanged(machine, host.record(0).version, 6));
}

KVMPV_TEST(version_read, odd_then_even) {
    Test test(handle);
    ScriptedHost host;
    publish(host, 1);
    ++host.record(0).version;
    const Outcome outcome = take_system_time(host, [&](u32 access) {
        if (access != 2 * kAccessesOfAnAttempt) return;
        host.record(0).system_time = 2;
        ++host.record(0).version;
    });
    expect(test, outcome, 3, 2);
}

KVMPV_TEST(version_read, update_in_between) {
    Test test(handle);
    // Before the first look one attempt is enough. Between the two looks a second one is needed.
    // After them the old value counts.
    constexpr u32 kAttempts[] = {1, 2, 2, 1};
    constexpr u64 kTaken[] = {2, 2, 2, 1};
    for (u32 at = 0; at < 4; ++at) {
        ScriptedHost host;
        publish(host, 1);
        const Outcome outcome = take_system_time(host, [&](u32 access) {
            if (access == at) publish(host, 2);
        });
        expect(test, outcome, kAttempts[at], kTaken[at]);
    }
}

KVMPV_TEST(version_read, odd_for_ever) {
    Test test(handle);
    for (const u32 version : {1u, 7u, 0xffff'ffffu}) {
        ScriptedHost host;
        host.set_versions(version);
        expect_given_up(test, take_system_time(host, kUndisturbed));
    }
}

KVMPV_TEST(version_read, new_version_at_every_look) {
    Test test(handle);
    ScriptedHost host;
    expect_given_up(test, take_system_time(host, [&](u32) { publish(host, 1); }));
}

KVMPV_TEST(version_read, last_attempt_counts) {
    Test test(handle);
    ScriptedHost host;
    host.set_versions(3);
    const Outcome outcome = take_system_time(host, [&](u32 access) {
        if (access == (kVersionReadAttempts - 1) * kAccessesOfAnAttempt) host.set_versions(4);
    });
    expect(test, outcome, kVersionReadAttempts, ScriptedHost::kStartNs);
}

KVMPV_TEST(version_read, wraps) {
    Test test(handle);
    {
        // From 2^32 - 2 to 0 between the two looks. The second attempt finds 0.
        ScriptedHost host;
        host.set_versions(0xffff'fffe);
        const Outcome outcome = take_system_time(host, [&](u32 access) {
            if (access == 1) publish(host, 9);
        });
        expect(test, outcome, 2, 9);
        test.equal("version", host.record(0).version, 0);
    }
    {
        // From 2^32 - 1, odd, to 0.
        ScriptedHost host;
        host.set_versions(0xffff'ffff);
        const Outcome outcome = take_system_time(host, [&](u32 access) {
            if (access != 1) return;
            host.record(0).system_time = 9;
            ++host.record(0).version;
        });
        expect(test, outcome, 2, 9);
    }
}

// Between any two accesses the lower half is new and the upper half old, which is 2^32 ns off.
KVMPV_TEST(version_read, half_written) {
    Test test(handle);
    constexpr u64 kOld = 0x1'ffff'ffff, kNew = 0x2'0000'0000, kTorn = 0x1'0000'0000;
    for (u32 begin = 0; begin < 7; ++begin) {
        for (u32 end = begin + 1; end < 8; ++end) {
            ScriptedHost host;
            publish(host, kOld);
            const Outcome outcome = take_system_time(host, [&](u32 access) {
                if (access == begin) {
                    ++host.record(0).version;
                    host.record(0).system_time = kTorn;
                }
                if (access == end) {
                    host.record(0).system_time = kNew;
                    ++host.record(0).version;
                }
            });
            // A write that begins after the first attempt comes too late to be seen.
            if (!test.is_true("read", outcome.ok) ||
                !test.equal("taken", outcome.taken, begin < kAccessesOfAnAttempt ? kNew : kOld))
                return test.note([&](LineWriter& out) {
                    out << "half written from before access " << begin << " to before " << end;
                });
        }
    }
}

KVMPV_SUITE(version_read);
