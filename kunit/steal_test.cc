// SPDX-License-Identifier: GPL-2.0-only
//
// steal.hh: a clock that never goes back and never runs faster than real time, on a host that
// writes anything at any moment.

#include "kvmpv/steal_handover.hh"
#include "scripted_host.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

// 2 GHz: a tick of the TSC is half a nanosecond.
constexpr u32 kTscKhz = 2'000'000;
constexpr u64 kTicksPerNs = 2;
constexpr u64 kTickNs = 4'000'000;
constexpr u64 kMs = 1'000'000;
constexpr u64 kSecond = 1'000'000'000;
constexpr u64 kYears = u64{1} << 63;

// The host's side of one record.
struct Host {
    KvmStealTime record{};
    u64 tsc = 1'000 * kSecond;

    void pass(u64 ns) { tsc += ns * kTicksPerNs; }
    // For `ns` the vCPU could have run and did not.
    void steal(u64 ns) {
        pass(ns);
        write(record.steal + ns);
    }
    void write(u64 steal_ns) {
        record.version += 2;
        record.steal = steal_ns;
    }
};

// A StealMachine. script(n) runs before access n to memory or TSC, counted from 0.
template <class Script>
struct Machine {
    Host& host;
    Script script;
    u32 accesses = 0;
    u32 bursts = 0;
    u64 stolen_ns = 0;
    u64 last_burst_ns = 0;
    u32 steps = 0;
    u64 last_step_ns = 0;
    bool add_is_ignored = false;
    bool asks_when_told = false;
    u64 accounted_ns_now = 0;
    bool handover_now = false;
    u64 uptime_ns_now = 1'000 * kSecond;
    u64 rebased_ns = 0;

    template <class T>
    T load(const T& shared) {
        script(accesses++);
        return shared;
    }
    void barrier() {}
    void store(u64& shared, u64 value) {
        script(accesses++);
        shared = value;
    }
    bool compare_exchange(u64& shared, u64& expected, u64 desired) {
        script(accesses++);
        if (shared == expected) {
            shared = desired;
            return true;
        }
        expected = shared;
        return false;
    }
    void add(u64& shared, u64 value) {
        script(accesses++);
        if (!add_is_ignored) shared += value;
    }
    u64 tsc() {
        script(accesses++);
        return host.tsc;
    }
    u64 elapsed_ns(u64 ticks) { return TicksToNs(kTscKhz)(ticks); }
    u64 tick_ns() { return kTickNs; }
    u64 uptime_ns() { return uptime_ns_now; }
    u64 accounted_ns(const StealClock&) { return accounted_ns_now; }
    bool handover_in_progress() { return handover_now; }
    void rebased(StealClock&, u64 ns) { rebased_ns += ns; }
    void stepped(StealClock& own, bool, u64 ns) {
        ++steps;
        last_step_ns = ns;
        if (asks_when_told) ask_steal(*this, own);
    }
    void stolen(StealClock& own, u64 ns) {
        ++bursts;
        stolen_ns += ns;
        last_burst_ns = ns;
        if (asks_when_told) ask_steal(*this, own);
    }
};
template <class Script>
Machine(Host&, Script) -> Machine<Script>;

constexpr auto kNothing = [](u32) {};

// A clock that has just begun, at `accounted_ns`, on a record that says `raw_ns`.
struct Begun {
    Host host;
    Machine<decltype(kNothing)> machine{host, kNothing};
    StealClock own{};

    explicit Begun(u64 raw_ns = 0, u64 accounted_ns = 0) {
        host.record.steal = raw_ns;
        machine.accounted_ns_now = accounted_ns;
        begin_steal(machine, own, &host.record, false);
    }
    u64 ask() { return ask_steal(machine, own); }
    u64 from_afar() { return ask_steal_from_afar(machine, own); }
};

}  // namespace

// ---- Ticks to nanoseconds -----------------------------------------------------------------------

KVMPV_TEST(steal, ticks_to_ns) {
    Test test(handle);
    test.equal("2 GHz", TicksToNs(2'000'000)(2'000'000'000), 1'000'000'000);
    test.equal("1 GHz", TicksToNs(1'000'000)(12'345), 12'345);
    test.equal("none", TicksToNs(2'000'000)(0), 0);
    // 3 GHz does not divide: 1 part in 2^32 of a day's 86,400 s is 20 us.
    test.between("a day at 3 GHz", TicksToNs(3'000'000)(u64{86'400} * 3 * kSecond),
                 86'400 * kSecond - 25'000, 86'400 * kSecond);
    test.equal("saturates", TicksToNs(1)(~u64{0}), ~u64{0});
    test.equal("before it is known", TicksToNs()(~u64{0}), 0);
}

// ---- A host that follows the protocol ---------------------------------------------------------

KVMPV_TEST(steal, goes_on) {
    Test test(handle);
    Begun it(5 * kSecond);
    test.equal("what was before does not count", it.ask(), 0);
    u64 sum_ns = 0;
    for (u64 ns : {1ull, 1000ull, 999'999ull, kTickNs, kTickNs + 1, 7 * kTickNs, kSecond}) {
        it.host.pass(kMs);
        it.host.steal(ns);
        sum_ns += ns;
        test.equal("total", it.ask(), sum_ns);
        test.equal("asked again", it.ask(), sum_ns);
        test.equal("burst", it.machine.last_burst_ns, ns);
    }
    test.equal("bursts", it.machine.bursts, 7);
    test.equal("their sum", it.machine.stolen_ns, sum_ns);
    test.equal("updates", it.own.host_updates, 7);
    test.equal("carry", it.own.carry_ns(), -5 * static_cast<s64>(kSecond));
    test.equal("backward", it.own.backward.count, 0);
    test.equal("forward", it.own.forward.count, 0);
    test.equal("torn", it.own.torn_looks, 0);
}

// The host stops the vCPU between any two accesses. Wherever that is, all of the steal is shown,
// and nothing is taken for a step.
KVMPV_TEST(steal, stolen_between_any_two_accesses) {
    Test test(handle);
    for (u32 at = 0; at < 12; ++at) {
        Begun it;
        Machine machine{it.host, [&](u32 access) {
                            if (access == at) it.host.steal(20 * kMs);
                        }};
        it.host.pass(kMs);
        const u64 first = ask_steal(machine, it.own);
        test.is_true("all or nothing", first == 0 || first == 20 * kMs);
        it.host.pass(kMs);
        it.host.steal(3);
        const u64 all_ns = machine.accesses > at ? 20 * kMs + 3 : 3;
        if (!test.equal("all of it", it.ask(), all_ns) ||
            !test.equal("steps", it.own.forward.count + it.own.backward.count, 0))
            return test.note([&](LineWriter& out) { out << "before access " << at; });
    }
}

// A look that finds nothing new makes five accesses: pointer, TSC, version, steal, what is shown.
// It makes more only if the host has written, and takes that in once.
KVMPV_TEST(steal, asks_little) {
    Test test(handle);
    Begun it;
    const auto costs = [&] {
        it.machine.accesses = 0;
        static_cast<void>(it.ask());
        return it.machine.accesses;
    };
    test.equal("nothing new", costs(), 5);
    it.host.steal(kMs);
    test.at_least("new", costs(), 7);
    test.equal("nothing new again", costs(), 5);
    it.host.steal(0);
    test.at_least("written, and nothing new", costs(), 7);
    test.equal("and again", costs(), 5);
    test.equal("updates", it.own.host_updates, 2);
    test.equal("bursts", it.machine.bursts, 1);
    it.host.record.steal += kMs;
    test.equal("written by who leaves the version alone", it.ask(), 2 * kMs);
}

// Glances miss nothing, and read the TSC only if the record has changed.
KVMPV_TEST(steal, glances) {
    Test test(handle);
    Begun it;
    const u64 begun_tsc = it.own.tsc;
    it.host.pass(kMs);
    it.machine.accesses = 0;
    glance_at_steal(it.machine, it.own);
    test.equal("pointer, version, steal", it.machine.accesses, 3);
    test.equal("time of the last look", it.own.tsc, begun_tsc);
    it.host.steal(3 * kMs);
    glance_at_steal(it.machine, it.own);
    test.equal("total", it.own.total_ns, 3 * kMs);
    test.equal("burst", it.machine.last_burst_ns, 3 * kMs);
    test.equal("time of this look", it.own.tsc, it.host.tsc);
    it.host.record.version |= 1;
    glance_at_steal(it.machine, it.own);
    test.equal("torn", it.own.torn_looks, 1);
    ++it.host.record.version;
    it.own.record = nullptr;
    it.host.steal(kMs);
    glance_at_steal(it.machine, it.own);
    test.equal("no record", it.own.total_ns, 3 * kMs);
}

// What comes after glances is held against the time since the last look that read the TSC.
KVMPV_TEST(steal, glances_and_time) {
    Test test(handle);
    for (bool asked : {false, true}) {
        Begun it;
        it.host.pass(20 * kMs);
        glance_at_steal(it.machine, it.own);
        if (asked) test.equal("nothing", it.ask(), 0);
        it.host.pass(5 * kMs);
        it.host.write(kYears);
        glance_at_steal(it.machine, it.own);
        test.equal("no more than time", it.own.total_ns, (asked ? 5 : 25) * kMs);
        test.equal("step", it.own.forward.count, 1);
    }
}

KVMPV_TEST(steal, no_record) {
    Test test(handle);
    Begun it(0, 77);
    it.own.record = nullptr;
    it.host.steal(kSecond);
    test.equal("total", it.ask(), 77);
    test.equal("bursts", it.machine.bursts, 0);
}

// ---- A host that does not -----------------------------------------------------------------------

KVMPV_TEST(steal, steps_back) {
    Test test(handle);
    for (u64 to_ns : {u64{0}, u64{1}, 3 * kSecond - 1}) {
        Begun it;
        it.host.steal(3 * kSecond);
        test.equal("before", it.ask(), 3 * kSecond);
        it.host.pass(kMs);
        it.host.write(to_ns);
        test.equal("at the step", it.ask(), 3 * kSecond);
        test.equal("count", it.own.backward.count, 1);
        test.equal("size", it.own.backward.last_ns, 3 * kSecond - to_ns);
        it.host.steal(5);
        test.equal("after the step", it.ask(), 3 * kSecond + 5);
        test.equal("count after", it.own.backward.count, 1);
        test.equal("carry", it.own.carry_ns(), static_cast<s64>(3 * kSecond - to_ns));
    }
}

KVMPV_TEST(steal, jumps_ahead) {
    Test test(handle);
    Begun it;
    it.host.steal(kMs);
    test.equal("before", it.ask(), kMs);
    it.host.pass(10 * kMs);
    it.host.write(kYears);
    test.equal("no more than time", it.ask(), 11 * kMs);
    test.equal("count", it.own.forward.count, 1);
    test.equal("dropped", it.own.forward.last_ns, kYears - 11 * kMs);
    test.equal("told", it.machine.last_step_ns, kYears - 11 * kMs);
    test.equal("burst", it.machine.last_burst_ns, 10 * kMs);
    it.host.steal(kMs);
    test.equal("goes on", it.ask(), 12 * kMs);
    it.host.pass(kMs);
    it.host.write(2 * kMs);
    test.equal("and back", it.ask(), 12 * kMs);
    test.equal("count back", it.own.backward.count, 1);
    test.equal("size back", it.own.backward.last_ns, kYears - kMs);
    test.equal("told back", it.machine.last_step_ns, kYears - kMs);
    test.equal("told twice", it.machine.steps, 2);
    it.host.steal(kMs);
    test.equal("goes on again", it.ask(), 13 * kMs);
}

// A trace event may wake a task, and the kernel then updates the run queue's clock: it asks again.
KVMPV_TEST(steal, who_is_told_asks) {
    Test test(handle);
    Begun it;
    it.machine.asks_when_told = true;
    it.host.pass(10 * kMs);
    it.host.write(kYears);
    test.equal("ahead", it.ask(), 10 * kMs);
    test.equal("stolen", it.machine.stolen_ns, 10 * kMs);
    test.equal("one step", it.own.forward.count, 1);
    test.equal("told", it.machine.steps, 1);
    it.host.write(0);
    test.equal("back", it.ask(), 10 * kMs);
    test.equal("one step back", it.own.backward.count, 1);
    test.equal("told again", it.machine.steps, 2);
    test.equal("once", it.machine.bursts, 1);
}

// Up to one tick of steal is accepted without checking elapsed time. Above that, an excess within
// the TSC's error is no step, but it is not shown either.
KVMPV_TEST(steal, held_against_time) {
    Test test(handle);
    struct Row {
        const char* name;
        u64 passed_ns, grown_ns, shown_ns, steps;
    };
    constexpr Row kRows[] = {
        {"a tick in no time", 0, kTickNs, kTickNs, 0},
        {"more than a tick in no time", 0, kTickNs + 1, 0, 1},
        {"all of the time", kSecond, kSecond, kSecond, 0},
        {"a nanosecond more", kSecond, kSecond + 1, kSecond, 0},
        {"the error", kSecond, kSecond + (kSecond >> kStealRateShift), kSecond, 0},
        {"more than the error", kSecond, kSecond + (kSecond >> kStealRateShift) + 1, kSecond, 1},
    };
    for (const Row& row : kRows) {
        Begun it;
        it.host.pass(row.passed_ns);
        it.host.write(row.grown_ns);
        test.equal(row.name, it.ask(), row.shown_ns);
        test.equal(row.name, it.own.forward.count, row.steps);
    }
}

// Several looks may come within a tick. Without elapsed time they accept one tick in all.
KVMPV_TEST(steal, many_looks_in_no_time) {
    Test test(handle);
    Begun it;
    const auto grow = [&](u64 ns) {
        it.host.write(it.host.record.steal + ns);
        glance_at_steal(it.machine, it.own);
        return it.own.total_ns;
    };
    u64 shown_ns = 0;
    for (u32 look = 0; look < 10; ++look) shown_ns = grow(kTickNs / 2);
    test.equal("one tick", shown_ns, kTickNs);
    test.equal("steps", it.own.forward.count, 8);
    test.equal("dropped", it.own.forward.sum_ns, 4 * kTickNs);
    it.host.pass(kTickNs - 1);
    test.equal("as long as no more time has passed", grow(1), kTickNs);
    it.host.pass(kMs + 1);
    test.equal("then as much as has", grow(3 * kMs), kTickNs + kMs);
    test.equal("step", it.own.forward.last_ns, 2 * kMs);
    it.host.pass(kMs);
    test.equal("and a tick again", grow(3 * kMs), kTickNs + 4 * kMs);
    test.equal("no step", it.own.forward.count, 9);
}

// With a host that steals no more than real time nothing is lost, whenever the looks come. A host
// whose nanosecond is 500 ppm shorter makes no step.
KVMPV_TEST(steal, many_bursts_in_time) {
    Test test(handle);
    for (u64 faster : {0ull, 2000ull}) {
        Begun it;
        Xorshift random(42);
        u64 stolen_ns = 0;
        for (u32 round = 0; round < 10'000; ++round) {
            const u64 ns = random.next() % (round % 3 ? kTickNs / 3 : 3 * kTickNs) + 1;
            it.host.steal(ns);
            if (faster) it.host.tsc -= ns / faster * kTicksPerNs;
            stolen_ns += ns;
            if (round % 2) glance_at_steal(it.machine, it.own);
            if (!faster) test.equal("shown", it.ask(), stolen_ns);
        }
        test.equal("steps", it.own.forward.count, 0);
        test.between("lost", stolen_ns - it.ask(), 0, faster ? stolen_ns / faster : 0);
    }
}

KVMPV_TEST(steal, tsc_goes_back) {
    Test test(handle);
    Begun it;
    it.host.tsc -= 100 * kSecond;
    it.host.write(kSecond);
    test.equal("nothing can be believed", it.ask(), 0);
    test.equal("count", it.own.forward.count, 1);
    it.host.steal(20 * kMs);
    test.equal("goes on", it.ask(), 20 * kMs);
    it.host.tsc -= 100 * kSecond;
    for (u32 burst = 0; burst < 10; ++burst) {
        it.host.steal(kTickNs / 2);
        it.ask();
    }
    // Right after the TSC's step nothing exceeds a tick yet. The third burst does.
    test.equal("by small bursts", it.own.total_ns, 20 * kMs + 9 * kTickNs / 2);
    test.equal("one is dropped", it.own.forward.count, 2);
}

KVMPV_TEST(steal, torn_for_ever) {
    Test test(handle);
    Begun it;
    it.host.steal(kMs);
    test.equal("before", it.ask(), kMs);
    it.host.steal(30 * kMs);
    it.host.record.version |= 1;
    for (u64 looks = 1; looks <= 3; ++looks) {
        it.machine.accesses = 0;
        test.equal("stands still", it.ask(), kMs);
        test.equal("looks", it.own.torn_looks, looks);
        test.between("bounded", it.machine.accesses, 1, 3 * kVersionReadAttempts + 4);
    }
    it.host.pass(kMs);
    ++it.host.record.version;
    test.equal("nothing is lost", it.ask(), 31 * kMs);
    test.equal("steps", it.own.forward.count, 0);
}

// The upper half is still the old one: the value is seconds off.
KVMPV_TEST(steal, half_written) {
    Test test(handle);
    for (u32 at = 0; at < 8; ++at) {
        Begun it(0xffff'ff00);
        it.host.pass(kSecond);
        const auto script = [&](u32 access) {
            if (access == at) {
                ++it.host.record.version;
                it.host.record.steal = 0x100;
            }
            if (access == at + 5) {
                it.host.record.steal = 0x1'0000'0100;
                ++it.host.record.version;
            }
        };
        Machine machine{it.host, script};
        const u64 shown_ns = ask_steal(machine, it.own);
        test.is_true("old or new", shown_ns == 0 || shown_ns == 0x200);
        // Whatever the script has not done yet.
        it.host.record.steal = 0x1'0000'0100;
        it.host.record.version = (it.host.record.version + 1) & ~u32{1};
        test.equal("in the end", it.ask(), 0x200);
        test.equal("steps", it.own.backward.count + it.own.forward.count, 0);
    }
}

KVMPV_TEST(steal, version_wraps) {
    Test test(handle);
    Begun it;
    it.host.record.version = 0xffff'fffe;
    it.host.steal(kMs);
    test.equal("before", it.ask(), kMs);
    const u64 updates = it.own.host_updates;
    it.host.steal(kMs);
    test.equal("version", it.host.record.version, 2);
    test.equal("after", it.ask(), 2 * kMs);
    test.equal("updates", it.own.host_updates - updates, 1);
}

// ---- Several who ask ----------------------------------------------------------------------------

// Another CPU is shown what the record has grown by since its own CPU looked. Nothing that the own
// CPU's looks continue from changes.
KVMPV_TEST(steal, from_afar) {
    Test test(handle);
    Begun it(5 * kSecond, 7 * kSecond);
    test.equal("nothing yet", it.from_afar(), 7 * kSecond);
    it.host.pass(kMs);
    it.host.steal(20 * kMs);
    it.host.pass(kMs);
    const StealClock before = it.own;
    for (u32 asker = 0; asker < 3; ++asker)
        test.equal("what the record says", it.from_afar(), 7 * kSecond + 20 * kMs);
    test.is_true("TSC, record, sum", it.own.tsc == before.tsc && it.own.raw_ns == before.raw_ns &&
                                         it.own.total_ns == before.total_ns &&
                                         it.own.version == before.version &&
                                         it.own.checked_tsc == before.checked_tsc &&
                                         it.own.unchecked_ns == before.unchecked_ns &&
                                         it.own.host_updates == before.host_updates);
    test.equal("nothing is counted", it.machine.bursts + it.machine.steps, 0);
    test.equal("the CPU itself", it.ask(), 7 * kSecond + 20 * kMs);
    test.equal("once", it.machine.stolen_ns, 20 * kMs);
    test.equal("in one burst", it.machine.bursts, 1);
    test.equal("from afar again", it.from_afar(), 7 * kSecond + 20 * kMs);
    it.host.steal(3);
    it.host.pass(9);
    glance_at_steal(it.machine, it.own);
    test.equal("after a glance", it.from_afar(), 7 * kSecond + 20 * kMs + 3);
    it.host.steal(4);
    test.equal("and more", it.from_afar(), 7 * kSecond + 20 * kMs + 7);
    test.equal("sum", it.own.total_ns, 7 * kSecond + 20 * kMs + 3);
}

// Not even one tick is accepted without checking elapsed time. The CPU itself may accept more
// later.
KVMPV_TEST(steal, from_afar_held_against_time) {
    Test test(handle);
    struct Row {
        const char* name;
        u64 passed_ns, grown_ns, shown_ns, own_ns;
    };
    constexpr Row kRows[] = {
        {"nothing", kMs, 0, 0, 0},
        {"in no time", 0, kTickNs, 0, kTickNs},
        {"half of a tick", kTickNs / 2, kTickNs, kTickNs / 2, kTickNs},
        {"all of the time", kSecond, kSecond, kSecond, kSecond},
        {"a nanosecond more", kSecond, kSecond + 1, kSecond, kSecond},
        {"years", kMs, kYears, kMs, kMs},
        {"back", kMs, ~u64{0}, 0, 0},
    };
    for (const Row& row : kRows) {
        Begun it(kSecond);
        it.host.pass(row.passed_ns);
        it.host.write(kSecond + row.grown_ns);
        for (u32 asker = 0; asker < 3; ++asker) test.equal(row.name, it.from_afar(), row.shown_ns);
        test.equal(row.name, it.own.forward.count + it.own.backward.count, 0);
        test.equal(row.name, it.ask(), row.own_ns);
        test.equal(row.name, it.from_afar(), row.own_ns);
    }
}

// What has been shown stays shown. The clock stands still until new steal has made up for it.
KVMPV_TEST(steal, from_afar_and_taken_back) {
    Test test(handle);
    for (u64 back_ns : {u64{0}, kMs, 5 * kMs}) {
        Begun it(10 * kMs);
        it.host.pass(30 * kMs);
        it.host.write(15 * kMs);
        test.equal("from afar", it.from_afar(), 5 * kMs);
        // Takes the version back, too, as if the record had never said more.
        it.host.record.version -= back_ns == 0 ? 2 : 0;
        it.host.record.steal = 10 * kMs + (back_ns == 0 ? 0 : back_ns - kMs);
        test.equal("the CPU itself", it.ask(), 5 * kMs);
        test.equal("and again", it.ask(), 5 * kMs);
        test.equal("from afar again", it.from_afar(), 5 * kMs);
        const u64 sum_ns = it.own.total_ns;
        test.equal("sum", sum_ns, back_ns == 0 ? 0 : back_ns - kMs);
        it.host.steal(5 * kMs - sum_ns);
        test.equal("made up for", it.ask(), 5 * kMs);
        it.host.steal(7);
        test.equal("goes on", it.ask(), 5 * kMs + 7);
        test.equal("stolen", it.machine.stolen_ns, 5 * kMs + 7);
    }
}

KVMPV_TEST(steal, from_afar_torn) {
    Test test(handle);
    Begun it;
    it.host.steal(kMs);
    test.equal("before", it.ask(), kMs);
    it.host.steal(30 * kMs);
    it.host.record.version |= 1;
    it.machine.accesses = 0;
    test.equal("stands still", it.from_afar(), kMs);
    test.between("bounded", it.machine.accesses, 1, 3 * kVersionReadAttempts + 10);
    test.equal("not counted", it.own.torn_looks, 0);
    ++it.host.record.version;
    test.equal("nothing is lost", it.from_afar(), 31 * kMs);
}

// What the record says does not count before the CPU's first look at it.
KVMPV_TEST(steal, from_afar_without_record) {
    Test test(handle);
    Begun it;
    it.host.steal(3 * kMs);
    test.equal("before", it.from_afar(), 3 * kMs);
    end_steal(it.machine, it.own);
    it.host.steal(kSecond);
    test.equal("none", it.from_afar(), 3 * kMs);
    test.equal("nor there", it.ask(), 3 * kMs);
    it.host.record.version |= 1;
    begin_steal(it.machine, it.own, &it.host.record, false);
    it.host.write(9 * kSecond | 1);
    test.equal("never looked at", it.from_afar(), 3 * kMs);
    ++it.host.record.version;
    it.host.pass(kMs);
    test.equal("still not", it.from_afar(), 3 * kMs);
    test.equal("there", it.ask(), 3 * kMs);
    it.host.steal(kMs);
    test.equal("goes on", it.from_afar(), 4 * kMs);
}

// Nor while the CPU makes its first look.
KVMPV_TEST(steal, from_afar_while_it_begins) {
    Test test(handle);
    for (u32 at = 0; at < 16; ++at) {
        Begun it;
        it.host.steal(3 * kMs);
        test.equal("before", it.ask(), 3 * kMs);
        end_steal(it.machine, it.own);
        it.host.pass(20 * kMs);
        it.host.write(9 * kSecond);
        u64 shown_ns = 3 * kMs;
        const auto script = [&](u32 access) {
            if (access == at) shown_ns = it.from_afar();
        };
        Machine machine{it.host, script};
        begin_steal(machine, it.own, &it.host.record, false);
        if (!(test.equal("while it begins", shown_ns, 3 * kMs) &
              test.equal("then", it.from_afar(), 3 * kMs) & test.equal("there", it.ask(), 3 * kMs)))
            return test.note([&](LineWriter& out) { out << "before access " << at; });
    }
}

// With a TSC that is behind the other CPU's, the clock shows what is known already. With one that
// is ahead, a host that lies gets ahead of real time by that much, but no further however long it
// lies.
KVMPV_TEST(steal, from_afar_by_another_tsc) {
    Test test(handle);
    Begun behind;
    behind.host.pass(30 * kMs);
    behind.host.steal(20 * kMs);
    behind.host.tsc -= kSecond * kTicksPerNs;
    test.equal("behind", behind.from_afar(), 0);
    Begun it;
    constexpr u64 kAheadNs = 3 * kSecond;
    const u64 begun_tsc = it.host.tsc;
    for (u32 round = 0; round < 1'000; ++round) {
        it.host.pass(kMs);
        it.host.write(kYears + round);
        it.host.tsc += kAheadNs * kTicksPerNs;
        const u64 shown_ns = it.from_afar();
        it.host.tsc -= kAheadNs * kTicksPerNs;
        it.host.write(0);
        const u64 passed_ns = (it.host.tsc - begun_tsc) / kTicksPerNs;
        if (!test.between("ahead", shown_ns, 0, passed_ns + kAheadNs + kTickNs) ||
            !test.equal("there", it.ask(), shown_ns))
            return test.note([&](LineWriter& out) { out << "round " << round; });
    }
    test.at_least("it was", it.ask(), kAheadNs);
}

// The CPU makes a whole look between any two accesses of another CPU that asks, and the other way
// round. What is shown is never less than before, nor more than the record has said and the elapsed
// time allows.
KVMPV_TEST(steal, from_afar_while_it_looks) {
    Test test(handle);
    for (u64 grown_ns : {u64{1}, 3 * kMs, 25 * kMs, kYears}) {
        for (u32 at = 0; at < 24; ++at) {
            for (bool there_inside : {false, true}) {
                Begun it;
                it.host.pass(20 * kMs);
                it.host.write(grown_ns);
                const u64 all_ns = grown_ns < 20 * kMs ? grown_ns : 20 * kMs;
                u64 inner_ns = all_ns;
                const auto script = [&](u32 access) {
                    if (access == at) inner_ns = there_inside ? it.ask() : it.from_afar();
                };
                Machine machine{it.host, script};
                const u64 outer_ns = there_inside ? ask_steal_from_afar(machine, it.own)
                                                  : ask_steal(machine, it.own);
                if (!(test.equal("outer", outer_ns, all_ns) &
                      test.equal("inner", inner_ns, all_ns) & test.equal("sum", it.ask(), all_ns) &
                      test.equal("stolen", it.machine.stolen_ns + machine.stolen_ns, all_ns)))
                    return test.note([&](LineWriter& out) {
                        out << "before access " << at << " of "
                            << (there_inside ? "one from afar" : "its own");
                    });
            }
        }
    }
}

// Between any two accesses of another CPU that asks, the CPU looks and the host lies right after. A
// sum is never held against the time since a look that is earlier than its own.
KVMPV_TEST(steal, from_afar_and_a_lie_behind_a_look) {
    Test test(handle);
    for (u32 at = 0; at < 14; ++at) {
        Begun it;
        it.host.pass(20 * kMs);
        it.host.write(15 * kMs);
        const auto script = [&](u32 access) {
            if (access != at) return;
            test.equal("there", it.ask(), 15 * kMs);
            it.host.write(kYears);
        };
        Machine machine{it.host, script};
        const u64 shown_ns = ask_steal_from_afar(machine, it.own);
        if (!test.between("shown", shown_ns, 15 * kMs, 20 * kMs))
            return test.note([&](LineWriter& out) { out << "before access " << at; });
    }
}

// The host stops the CPU in the middle of a look for a long time, and writes anything. Others ask.
KVMPV_TEST(steal, from_afar_while_it_is_stopped) {
    Test test(handle);
    for (u64 written_ns : {u64{0}, 15 * kMs, kYears}) {
        for (u32 at = 0; at < 24; ++at) {
            Begun it;
            it.host.pass(20 * kMs);
            it.host.write(10 * kMs);
            u64 seen_ns = 0;
            const auto script = [&](u32 access) {
                if (access != at) return;
                seen_ns = it.from_afar();
                it.host.pass(5 * kMs);
                it.host.write(written_ns);
                const u64 again_ns = it.from_afar();
                test.between("while it is stopped", again_ns, seen_ns, 25 * kMs);
                seen_ns = again_ns;
            };
            Machine machine{it.host, script};
            const u64 there_ns = ask_steal(machine, it.own);
            if (!(test.between("there", there_ns, seen_ns, 25 * kMs) &
                  test.between("and again", it.ask(), there_ns, 25 * kMs)))
                return test.note([&](LineWriter& out) {
                    out << "before access " << at << ", written " << written_ns;
                });
        }
    }
}

// Several CPUs ask at once, each interrupted by another one between any two accesses, the exchange
// included, while the record grows or shrinks. Whoever asks later is never shown less.
KVMPV_TEST(steal, from_afar_by_several) {
    Test test(handle);
    struct Row {
        u64 first_ns, second_ns, third_ns;
    };
    for (const Row& row : {Row{4 * kMs, 5 * kMs, 6 * kMs}, Row{6 * kMs, 5 * kMs, 4 * kMs}}) {
        for (u32 at = 0; at < 14 * 14; ++at) {
            Begun it;
            it.host.pass(20 * kMs);
            it.host.write(row.first_ns);
            u64 most_ns = 0;  // that anybody was shown
            const auto ask = [&](auto&& script) {
                Machine machine{it.host, script};
                const u64 before_ns = most_ns;
                const u64 shown_ns = ask_steal_from_afar(machine, it.own);
                test.between("shown", shown_ns, before_ns > 4 * kMs ? before_ns : 4 * kMs, 6 * kMs);
                if (shown_ns > most_ns) most_ns = shown_ns;
            };
            const auto third = [&](u32 access) {
                if (access != at % 14) return;
                it.host.write(row.third_ns);
                ask(kNothing);
            };
            const auto second = [&](u32 access) {
                if (access != at / 14) return;
                it.host.write(row.second_ns);
                ask(third);
            };
            ask(second);
            ask(kNothing);
            if (!(test.equal("once more", it.from_afar(), most_ns) &
                  test.equal("there", it.ask(), most_ns)))
                return test.note([&](LineWriter& out) {
                    out << "before accesses " << at / 14 << " and " << at % 14;
                });
        }
    }
}

// While the kernel's own clock is put back, other CPUs are shown no more than what the record is
// healed to.
KVMPV_TEST(steal, from_afar_while_it_is_healed) {
    Test test(handle);
    for (u64 healed_from_ns : {u64{0}, 10 * kMs}) {
        Begun it;
        it.host.pass(40 * kMs);
        it.host.write(20 * kMs);
        test.equal("shown", it.from_afar(), 20 * kMs);
        it.machine.handover_now = true;
        it.host.write(30 * kMs);
        test.equal("no more than that", it.from_afar(), 20 * kMs);
        it.host.write(healed_from_ns);
        test.is_true("healed", heal_steal(it.machine, it.own, it.host.record));
        test.equal("native", it.host.record.steal, 20 * kMs);
        test.equal("from afar", it.from_afar(), 20 * kMs);
        it.host.steal(kMs);
        test.equal("as native", it.from_afar(), 21 * kMs);
    }
}

// Other CPUs ask for this CPU's clock between any two accesses of its own looks, whatever the host
// does meanwhile. Nobody sees the clock go back or outrun real time, and the CPU's own looks find
// what they find if nobody else asks.
KVMPV_TEST(steal, asked_from_afar) {
    Test test(handle);
    Xorshift random(2026);
    Begun it, alone;
    u64 seen_ns = 0;
    u64 asked = 0;
    u64 more = 0;
    bool back = false;
    const u64 begun_tsc = it.host.tsc;
    const auto ask = [&] {
        const u64 shown_ns = it.from_afar();
        back |= shown_ns < seen_ns;
        more += shown_ns > it.own.total_ns;
        seen_ns = shown_ns;
        ++asked;
    };
    Machine machine{it.host, [&](u32) { ask(); }};
    for (u32 round = 0; round < 1'000; ++round) {
        for (u32 writes = 0; writes < 3; ++writes) {
            const u64 raw_ns = random.next() % 7 ? it.host.record.steal + random.next() % kTickNs
                                                 : random.next() % kSecond;
            for (Host* host : {&it.host, &alone.host}) {
                host->pass(kTickNs / 3);
                host->write(raw_ns);
            }
            ask();
        }
        const u64 shown_ns = ask_steal(machine, it.own);
        static_cast<void>(alone.ask());
        const u64 passed_ns = (it.host.tsc - begun_tsc) / kTicksPerNs;
        if (!(test.at_least("shown there", shown_ns, seen_ns) &
              test.equal("own sum", it.own.total_ns, alone.own.total_ns) &
              test.between("time", shown_ns, alone.own.total_ns, passed_ns + kTickNs)))
            return test.note([&](LineWriter& out) { out << "round " << round; });
        seen_ns = shown_ns;
    }
    test.is_false("went back", back);
    test.at_least("asked", asked, 5'000);
    test.at_least("more than the looks", more, 1'000);
    test.at_least("steps", it.own.backward.count, 50);
}

// ---- Beginnings ---------------------------------------------------------------------------------

KVMPV_TEST(steal, begins_where_the_kernel_is) {
    Test test(handle);
    Begun it(22 * kMs, 300 * kSecond);
    test.equal("begins", it.ask(), 300 * kSecond);
    it.host.steal(kMs);
    test.equal("goes on", it.ask(), 300 * kSecond + kMs);
    test.equal("steps", it.own.backward.count, 0);
}

KVMPV_TEST(steal, takes_over) {
    Test test(handle);
    struct Row {
        const char* name;
        u64 raw_ns, accounted_ns, shown_ns, backward, forward;
    };
    constexpr u64 kUptime = 100 * kSecond;
    constexpr Row kRows[] = {
        {"the same", kSecond, kSecond, kSecond, 0, 0},
        {"not accounted yet", kSecond, 7, kSecond, 0, 0},
        {"all that there was time for", 7 + kUptime, 7, 7 + kUptime, 0, 0},
        {"more than there was time for", 8 + kUptime, 7, 7, 0, 1},
        {"years", kYears, 7, 7, 0, 1},
        {"behind", kSecond - 1, kSecond, kSecond, 1, 0},
        {"back to nothing", 0, kYears, kYears, 1, 0},
    };
    for (const Row& row : kRows) {
        Host host;
        host.record.steal = row.raw_ns;
        Machine machine{host, kNothing};
        machine.accounted_ns_now = row.accounted_ns;
        machine.uptime_ns_now = kUptime;
        StealClock own{.shown_ns = 78 * kSecond, .total_ns = 77 * kSecond};
        begin_steal(machine, own, &host.record, true);
        test.equal(row.name, ask_steal(machine, own), row.shown_ns);
        test.equal(row.name, own.total_ns, 77 * kSecond + machine.rebased_ns);
        test.equal(row.name, own.backward.count, row.backward);
        test.equal(row.name, own.forward.count, row.forward);
        host.steal(9);
        test.equal(row.name, ask_steal(machine, own), row.shown_ns + 9);
        test.equal(row.name, machine.bursts, 1);
    }
}

KVMPV_TEST(steal, takes_over_a_torn_record) {
    Test test(handle);
    Host host;
    host.record.steal = kYears;
    host.record.version = 1;
    Machine machine{host, kNothing};
    machine.accounted_ns_now = 5;
    machine.uptime_ns_now = kSecond;
    StealClock own{};
    begin_steal(machine, own, &host.record, true);
    test.equal("what the kernel has", ask_steal(machine, own), 5);
    machine.accounted_ns_now = 7;
    test.equal("and now", ask_steal(machine, own), 7);
    ++host.record.version;
    host.record.steal = 6;
    test.equal("whole again, and behind", ask_steal(machine, own), 7);
    test.equal("counted", own.backward.count, 1);
    host.steal(kMs);
    test.equal("goes on", ask_steal(machine, own), 7 + kMs);
    test.equal("steps", own.forward.count + own.backward.count, 1);
}

// A new registration brings what the host has counted meanwhile, and sleep brings a TSC that starts
// anew.
KVMPV_TEST(steal, begins_again) {
    Test test(handle);
    Begun it;
    it.host.steal(3 * kMs);
    test.equal("before", it.ask(), 3 * kMs);
    for (u64 raw_ns : {u64{0}, 5 * kSecond, kYears}) {
        it.own.record = nullptr;
        it.host.record.steal = raw_ns;
        it.host.tsc = 17;
        const u64 before_ns = it.own.total_ns;
        begin_steal(it.machine, it.own, &it.host.record, false);
        test.equal("same as before", it.ask(), before_ns);
        it.host.steal(kMs);
        test.equal("goes on", it.ask(), before_ns + kMs);
    }
    test.equal("steps", it.own.forward.count + it.own.backward.count, 0);
}

// ---- The end ------------------------------------------------------------------------------------

// After healing, native, which shows the record as it is, shows the same as ours.
KVMPV_TEST(steal, heals) {
    Test test(handle);
    for (u64 raw_ns : {u64{0}, u64{1}, 2 * kMs, 3 * kMs, 5 * kMs, kYears, ~u64{0}}) {
        Begun it;
        it.host.steal(3 * kMs);
        test.equal("before", it.ask(), 3 * kMs);
        it.host.pass(kMs);
        it.host.write(raw_ns);
        const u64 shown_ns = it.ask();
        test.is_true("healed", heal_steal(it.machine, it.own, it.host.record));
        test.equal("native", it.host.record.steal, shown_ns);
        test.equal("carry", it.own.carry_ns(), 0);
        it.host.steal(kMs);
        test.equal("both go on", it.ask(), it.host.record.steal);
        test.equal("by as much", it.host.record.steal, shown_ns + kMs);
    }
}

KVMPV_TEST(steal, heals_nothing) {
    Test test(handle);
    Begun it(0, 0);
    it.host.steal(3 * kMs);
    const u32 version = it.host.record.version;
    test.is_true("healed", heal_steal(it.machine, it.own, it.host.record));
    test.equal("untouched", it.host.record.steal, 3 * kMs);
    test.equal("shown", it.ask(), 3 * kMs);
    test.equal("version", it.host.record.version, version);
}

// The host adds to the record between any two accesses. Nothing that it adds is lost.
KVMPV_TEST(steal, heals_while_the_host_adds) {
    Test test(handle);
    for (u32 at = 0; at < 8; ++at) {
        Begun it;
        it.host.steal(9 * kMs);
        test.equal("before", it.ask(), 9 * kMs);
        it.host.pass(kMs);
        it.host.write(0);
        Machine machine{it.host, [&](u32 access) {
                            if (access == at) it.host.steal(30 * kMs);
                        }};
        test.is_true("healed", heal_steal(machine, it.own, it.host.record));
        const u64 native_ns = it.host.record.steal;
        it.host.pass(kMs);
        // Added before the record is first read, it cannot be told from the step: 21 ms are left.
        const u64 added_ns = at < 3 ? 21 * kMs : at < machine.accesses ? 30 * kMs : 0;
        test.equal("nothing lost", native_ns, 9 * kMs + added_ns);
        test.equal("ours and native's", it.ask(), native_ns);
    }
}

KVMPV_TEST(steal, heals_a_torn_record) {
    Test test(handle);
    Begun it;
    it.host.steal(3 * kMs);
    test.equal("before", it.ask(), 3 * kMs);
    it.host.write(0);
    it.host.record.version |= 1;
    test.equal("torn", it.ask(), 3 * kMs);
    test.is_true("healed", heal_steal(it.machine, it.own, it.host.record));
    test.equal("native", it.host.record.steal, 3 * kMs);
}

KVMPV_TEST(steal, heals_an_offline_cpu) {
    Test test(handle);
    Begun it;
    it.host.steal(3 * kMs);
    test.equal("before", it.ask(), 3 * kMs);
    it.own.record = nullptr;
    it.host.record.steal = 0;
    test.is_true("healed", heal_steal(it.machine, it.own, it.host.record));
    test.equal("native", it.host.record.steal, 3 * kMs);
    it.machine.accounted_ns_now = 4 * kMs;
    test.is_true("healed", heal_steal(it.machine, it.own, it.host.record));
    test.equal("not less than accounted", it.host.record.steal, 4 * kMs);
    test.equal("no step", it.own.backward.count, 0);
}

// The kernel never asked ours. Without healing its own clock would show less than before.
KVMPV_TEST(steal, heals_what_was_never_asked) {
    Test test(handle);
    for (u64 raw_ns : {u64{0}, 5 * kMs}) {
        Host host;
        host.record.steal = raw_ns;
        Machine machine{host, kNothing};
        machine.accounted_ns_now = 7 * kMs;
        StealClock own{};
        begin_steal(machine, own, &host.record, true);
        test.is_true("healed", heal_steal(machine, own, host.record));
        test.equal("native", host.record.steal, 7 * kMs);
        host.steal(kMs);
        test.equal("goes on", ask_steal(machine, own), 8 * kMs);
        test.is_false("takes over", own.native_shown);
    }
}

KVMPV_TEST(steal, healing_is_verified) {
    Test test(handle);
    for (u64 raw_ns : {u64{0}, kYears}) {
        Begun it;
        it.host.steal(30 * kMs);
        test.equal("before", it.ask(), 30 * kMs);
        it.host.pass(kMs);
        it.host.write(raw_ns);
        it.machine.add_is_ignored = true;
        test.is_false("healed", heal_steal(it.machine, it.own, it.host.record));
    }
}

// ---- All together -------------------------------------------------------------------------------

// A host that writes anything at any moment. The clock never goes back, and never grows by more
// than the elapsed time, or one tick if that is more.
KVMPV_TEST(steal, random_host) {
    Test test(handle);
    Xorshift random(4711);
    Begun it;
    it.machine.uptime_ns_now = 0;  // or a clock that takes over would show any record at once
    u64 shown_ns = 0;
    u64 more = 0;
    u64 tsc = it.host.tsc;
    for (u32 round = 0; round < 200'000; ++round) {
        const u64 dice = random.next();
        it.host.pass(dice % (3 * kTickNs));
        switch (dice >> 60) {
            case 0: it.host.write(random.next()); break;
            case 1: it.host.write(it.host.record.steal - random.next() % kSecond); break;
            case 2: it.host.write(it.host.record.steal + random.next() % kSecond); break;
            case 3: it.host.record.version ^= 1; break;
            case 4: begin_steal(it.machine, it.own, &it.host.record, false); break;
            case 5: it.own.record = nullptr; break;
            case 6: static_cast<void>(heal_steal(it.machine, it.own, it.host.record)); break;
            default: it.host.steal(random.next() % (2 * kTickNs)); break;
        }
        const u64 before_ns = it.machine.accounted_ns_now = shown_ns;
        if (dice & 1) glance_at_steal(it.machine, it.own);
        const u64 afar_ns = dice & 2 && !it.own.native_shown ? it.from_afar() : before_ns;
        more += afar_ns > before_ns;
        shown_ns = it.ask();
        const u64 passed_ns = (it.host.tsc - tsc) / kTicksPerNs;
        if (it.own.tsc == it.host.tsc) tsc = it.host.tsc;
        if (!(test.between("growth", shown_ns - before_ns, 0,
                           passed_ns > kTickNs ? passed_ns : kTickNs) &
              test.between("from afar", afar_ns, before_ns, shown_ns)))
            return test.note([&](LineWriter& out) { out << "round " << round; });
    }
    test.at_least("steps back", it.own.backward.count, 1'000);
    test.at_least("steps ahead", it.own.forward.count, 1'000);
    test.at_least("torn", it.own.torn_looks, 1'000);
    test.at_least("shown to others first", more, 1'000);
}

// ---- Shape --------------------------------------------------------------------------------------

KVMPV_TEST(steal, buckets) {
    Test test(handle);
    test.equal("0", steal_bucket(0), 0);
    test.equal("1", steal_bucket(1), 0);
    for (u32 bucket = 1; bucket < kStealBuckets; ++bucket) {
        const u64 low = u64{1} << bucket;
        test.equal("below", steal_bucket(low - 1), bucket - 1);
        test.equal("lowest", steal_bucket(low), bucket);
        test.equal("highest", steal_bucket(low + (low - 1)), bucket);
    }
}

KVMPV_TEST(steal, shape) {
    Test test(handle);
    StealShape shape{};
    test.is_true("first", shape.add(5));
    test.is_false("shorter", shape.add(4));
    test.is_false("equal", shape.add(5));
    test.is_true("longer", shape.add(1'000));
    test.equal("bursts", shape.bursts, 4);
    test.equal("sum", shape.sum_ns, 1'014);
    test.equal("longest", shape.longest_ns, 1'000);
    test.equal("4 to 7", shape.histogram[2], 3);
    test.equal("512 to 1023", shape.histogram[9], 1);
}

KVMPV_SUITE(steal);
