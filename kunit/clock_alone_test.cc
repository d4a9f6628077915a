// SPDX-License-Identifier: GPL-2.0-only
//
// clock_alone.hh: what the clock shows after sleep on a host that takes no slot any more, read by
// the module's own paths.

#include "kvmpv/clock_alone.hh"

#include "scripted_host.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

constexpr PvclockVcpuTimeInfo kNoRecord{};
constexpr u64 kHour = 3'600'000'000'000;
// The TSC starts anew while the machine sleeps.
constexpr u64 kTscAwake = 1'000 * kTickUnit;
constexpr u64 kWhile = 1'000'000 * kTickUnit;

struct Path {
    const char* name;
    u8 flags;
    bool guarded;
};
constexpr Path kPaths[] = {
    {"stable", kPvclockTscStable, false},
    {"guarded", kPvclockTscStable, true},
    {"without the promise", 0, true},
};

// A guest that sleeps on CPU 0 while CPU 1 is offline. While the clock is alone the host writes no
// record: what it would have written is in `host`, what the guest reads is here.
class Sleeper {
public:
    explicit Sleeper(const Path& path) : path_(path) {
        host.set_flags(path.flags);
        host.change_clock(kSlow);
        host.rewrite(1);
        machine.set_stable_offered(path.flags);
        machine.set_ticks_per_access(0);
    }

    u64 read(u32 cpu) {
        host.run_on(cpu);
        machine.rewind();
        u64 now_ns;
        if (!path_.guarded && read_stable(machine, now_ns)) return now_ns;
        return read_guarded(machine, guard);
    }

    // The host takes the slots again, or refuses them.
    bool sleep(bool refused) {
        host.run_on(0);
        machine.rewind();
        const PvclockVcpuTimeInfo& record = *machine.this_cpu_record();
        const ClockSample before = look(machine, record, {});
        alone.sleep(before, read(0));
        host.set_tsc(kTscAwake);
        host.set_clock(kSlow, host_ns_ += kHour);
        guard.restart();
        alone.end();
        const bool goes_on = refused && alone.begin(host.tsc());
        serve(0, refused, goes_on);
        if (!goes_on) guard.raise(refused ? alone.shown_ns() : 0);
        return goes_on;
    }

    // CPU 1 comes, whose slot the host would take.
    void cpu1_comes() {
        host.run_on(1);
        serve(1, false, alone.is_on());
    }

    ScriptedHost host;
    ScriptedMachine<decltype(kUndisturbed)> machine{host, kUndisturbed};
    MonotonicGuard guard;
    ClockAlone alone;

private:
    void serve(u32 cpu, bool refused, bool writes) {
        if (writes) alone.write(own_[cpu], host.tsc(), guard.last_ns());
        machine.set_record(cpu, writes ? &own_[cpu] : refused ? &kNoRecord : nullptr);
        if (!writes && !refused) host.rewrite(cpu);
    }

    const Path path_;
    u64 host_ns_ = ScriptedHost::kStartNs;
    PvclockVcpuTimeInfo own_[ScriptedHost::kNumCpus]{};
};

// kSlow: four ticks are a nanosecond.
constexpr u64 kWhileNs = kWhile / 4;

}  // namespace

KVMPV_TEST(clock_alone, goes_on_from_what_it_showed) {
    Test test(handle);
    for (const Path& path : kPaths) {
        Sleeper guest(path);
        guest.host.pass(kWhile);
        const u64 shown_ns = guest.read(0);
        test.is_true(path.name, guest.sleep(true));
        test.equal("at the wake-up", guest.read(0), shown_ns);
        for (u64 i = 1; i <= 3; ++i) {
            guest.host.pass(kWhile);
            test.equal("by the TSC", guest.read(0), shown_ns + i * kWhileNs);
        }
        test.equal("counted", guest.machine.counted(), 0);
    }
}

// CPU 1 would get a record from the host, which includes the sleep.
KVMPV_TEST(clock_alone, does_not_jump_when_cpus_come) {
    Test test(handle);
    for (const Path& path : kPaths) {
        Sleeper guest(path);
        const u64 shown_ns = guest.read(0);
        guest.sleep(true);
        guest.host.pass(kWhile);
        test.equal(path.name, guest.read(0), shown_ns + kWhileNs);
        guest.cpu1_comes();
        test.equal("CPU 1 comes", guest.read(1), shown_ns + kWhileNs);
        guest.host.pass(kWhile);
        for (const u32 cpu : {1u, 0u})
            test.equal("later", guest.read(cpu), shown_ns + 2 * kWhileNs);
    }
}

// Its TSC says nothing about the other's if the host has not promised that.
KVMPV_TEST(clock_alone, another_tsc) {
    Test test(handle);
    for (const u64 ahead : {1'000'000'000 * kTickUnit, 0 - 500 * kTickUnit}) {
        Sleeper guest(kPaths[2]);
        const u64 shown_ns = guest.read(0);
        guest.sleep(true);
        guest.host.set_tsc_ahead(1, ahead);
        guest.host.pass(kWhile);
        guest.read(0);
        guest.cpu1_comes();
        guest.host.pass(kWhile);
        for (const u32 cpu : {1u, 0u})
            test.equal("on both CPUs", guest.read(cpu), shown_ns + 2 * kWhileNs);
        test.equal("counted", guest.machine.counted(), 0);
    }
}

KVMPV_TEST(clock_alone, sleeps_again) {
    Test test(handle);
    for (const Path& path : kPaths) {
        Sleeper guest(path);
        guest.sleep(true);
        guest.host.pass(kWhile);
        const u64 shown_ns = guest.read(0);
        test.is_true(path.name, guest.sleep(true));
        guest.host.pass(kWhile);
        test.equal("refused again", guest.read(0), shown_ns + kWhileNs);

        test.is_false("taken", guest.sleep(false));
        test.is_false("alone", guest.alone.is_on());
        guest.cpu1_comes();
        guest.host.pass(kWhile);
        for (const u32 cpu : {0u, 1u})
            test.equal("the host's", guest.read(cpu), guest.host.true_ns());
    }
}

// Nobody knows how fast time passes: it stands still where it was.
KVMPV_TEST(clock_alone, no_rate) {
    Test test(handle);
    for (const Path& path : kPaths) {
        Sleeper guest(path);
        const u64 shown_ns = guest.read(0);
        guest.guard.raise(shown_ns);
        guest.host.record(0).tsc_shift = 99;
        test.is_false(path.name, guest.sleep(true));
        guest.machine.set_stable_offered(false);
        guest.host.pass(kWhile);
        test.equal("stands still", guest.read(0), shown_ns);
    }
}

// A reader in an NMI finds the record as it was, an odd version, or the record as it is now.
KVMPV_TEST(clock_alone, writes_as_the_host_does) {
    Test test(handle);
    const ClockSample before{.tsc = 500,
                             .tsc_timestamp = 100,
                             .system_time_ns = 7,
                             .tsc_to_system_mul = 99,
                             .tsc_shift = -3,
                             .flags = 0xff,
                             .known = true};
    ClockAlone alone;
    alone.sleep(before, 1'000);
    test.is_true("begins", alone.begin(40));
    for (const u32 version : {0u, 1u, 6u, 0xffff'fffdu}) {
        PvclockVcpuTimeInfo record{version, 0, 1, 2, 3, 4, 0, {}};
        alone.write(record, 60, 2'000);
        test.equal("version", record.version, (version | 1) + 1);
        test.equal("tsc_timestamp", record.tsc_timestamp, 40);
        test.equal("system_time", record.system_time, 1'000);
        test.equal("multiplier", record.tsc_to_system_mul, 99);
        test.equal("shift", static_cast<u64>(record.tsc_shift), static_cast<u64>(s64{-3}));
        test.equal("flags", record.flags, kPvclockTscStable);
    }
}

KVMPV_SUITE(clock_alone);
