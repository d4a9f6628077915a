// SPDX-License-Identifier: GPL-2.0-only
//
// early_look.hh: which changes of a record call for a look before its turn, and how many looks that
// makes.

#include "kvmpv/early_look.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

constexpr u64 kSecond = 1'000'000'000;
constexpr u64 kTick = 4'000'000;

struct Watch {
    u64 seen_version = 0;
    u64 used_until_ns = 0;
    bool is_on = true;
};

// One CPU, its record and its ticks.
struct Cpu {
    Watch watch;
    u32 version = 2;
    u64 now_ns = 7 * kSecond;

    void update() { version += 2; }
    // Returns whether it asks for a look. As the tick does, it decides only about a change.
    bool tick() {
        now_ns += kTick;
        return watch.seen_version != version && calls_for_look(watch, version, now_ns);
    }
    u32 looks_in(u64 ticks, bool updates) {
        u32 looks = 0;
        for (u64 i = 0; i < ticks; ++i) {
            if (updates) update();
            looks += tick();
        }
        return looks;
    }
};

}  // namespace

KVMPV_TEST(early_look, change_calls_once) {
    Test test(handle);
    Cpu cpu;
    test.is_true("first", cpu.tick());
    test.is_false("no change", cpu.tick());
    cpu.update();
    test.is_true("change", cpu.tick());
    test.equal("no more", cpu.looks_in(1'000, false), 0);
}

// A version that was left odd is one more version.
KVMPV_TEST(early_look, odd_version_calls_once) {
    Test test(handle);
    Cpu cpu;
    cpu.tick();
    cpu.version |= 1;
    test.is_true("odd", cpu.tick());
    test.equal("odd for ever", cpu.looks_in(1'000, false), 0);
    ++cpu.version;
    test.is_true("even again", cpu.tick());
}

KVMPV_TEST(early_look, nobody_looks) {
    Test test(handle);
    Cpu cpu;
    cpu.watch.is_on = false;
    test.equal("looks", cpu.looks_in(1'000, true), 0);
    test.equal("used", cpu.watch.used_until_ns, 0);
    test.equal("seen", cpu.watch.seen_version, cpu.version);
    cpu.watch.is_on = true;
    test.is_false("was seen", cpu.tick());
    cpu.update();
    test.is_true("afterwards", cpu.tick());
}

// A host that writes the record all the time, as one does without the promise.
KVMPV_TEST(early_look, looks_are_limited) {
    Test test(handle);
    Cpu cpu;
    constexpr u64 kSeconds = 100;
    const u64 looks = cpu.looks_in(kSeconds * kSecond / kTick, true);
    constexpr u64 kInTheLongRun = kSeconds * kSecond / kEarlyLookIntervalNs;
    test.between("looks", looks, kInTheLongRun, kInTheLongRun + kEarlyLooksInARow);
}

KVMPV_TEST(early_look, several_in_a_row) {
    Test test(handle);
    Cpu cpu;
    test.equal("in a row", cpu.looks_in(100, true), kEarlyLooksInARow + 1);
    // 100 ticks are longer than one interval and shorter than two.
    test.equal("after one interval", cpu.looks_in(kEarlyLookIntervalNs / kTick, true), 1);
    cpu.now_ns += 1'000 * kSecond;
    test.equal("after a quiet time", cpu.looks_in(kEarlyLooksInARow, true), kEarlyLooksInARow);
}

// A change that came too soon for a look is not forgotten.
KVMPV_TEST(early_look, late_look_comes) {
    Test test(handle);
    Cpu cpu;
    while (cpu.update(), cpu.tick()) {
    }
    test.equal("looks without another change", cpu.looks_in(kEarlyLookIntervalNs / kTick, false),
               1);
    test.equal("seen", cpu.watch.seen_version, cpu.version);
}

// A machine that was restored may have an older clock.
KVMPV_TEST(early_look, time_goes_back) {
    Test test(handle);
    for (const u64 back_ns : {3 * kSecond, 6 * kSecond}) {
        Cpu cpu;
        while (cpu.update(), cpu.tick()) {
        }
        cpu.now_ns -= back_ns;
        test.is_true("look", cpu.tick());
    }
}

KVMPV_SUITE(early_look);
