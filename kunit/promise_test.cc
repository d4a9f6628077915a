// SPDX-License-Identifier: GPL-2.0-only
//
// promise.hh: which looks at the clocks of several CPUs show that the host breaks its promise, and
// which show only that it has set the clock.

#include "kvmpv/promise.hh"
#include "scripted_host.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

constexpr u64 kMost = kStableDisagreementNs;
constexpr u64 kSecond = 1'000'000'000;

// Two CPUs that are looked at once a second, the second one a microsecond after the first. A tick
// of the TSC is a nanosecond.
class Looks {
public:
    static constexpr u32 kNumCpus = 2;

    Looks() { set_all(7 * kSecond); }

    // Writes the CPU's record: its clock shows `now_ns` at this moment.
    void set(u32 cpu, u64 now_ns) {
        record_[cpu] = {0, tsc_, now_ns, 0x8000'0000, 1, kPvclockTscStable, true, false};
    }
    void set_all(u64 now_ns) {
        for (u32 cpu = 0; cpu < kNumCpus; ++cpu) set(cpu, now_ns);
    }
    u64 now_ns(u32 cpu) const { return record_[cpu].ns_at(tsc_); }

    // The host steps the clock of all CPUs by `by_ns`, in one update.
    void step_all(s64 by_ns) { set_all(now_ns(0) + static_cast<u64>(by_ns)); }
    // This CPU's TSC is behind the others', but its record is the same.
    void set_tsc_behind(u32 cpu, u64 ticks) { tsc_behind_[cpu] = ticks; }

    void wait_a_second() { tsc_ += kSecond; }

    // Returns by how many ns the promise is found broken.
    u64 look(u32 cpu) {
        tsc_ += 1'000;
        ClockSample now = record_[cpu];
        now.tsc = tsc_ - tsc_behind_[cpu];
        const u64 broken = promise_.judge(cpu, found_[cpu], before_[cpu], now, now.ns_at(now.tsc));
        before_[cpu] = now;
        return broken;
    }

    // The looks of one second.
    u64 round() {
        wait_a_second();
        const u64 first = look(0);
        const u64 second = look(1);
        return first > second ? first : second;
    }

private:
    Promise promise_;
    PromiseOfCpu found_[kNumCpus]{};
    ClockSample before_[kNumCpus]{};
    ClockSample record_[kNumCpus]{};
    u64 tsc_behind_[kNumCpus]{};
    u64 tsc_ = 1'000'000;
};

}  // namespace

KVMPV_TEST(promise, kept) {
    Test test(handle);
    Looks looks;
    for (u32 second = 0; second < 20; ++second) test.equal("broken by", looks.round(), 0);
}

KVMPV_TEST(promise, as_far_apart_as_may_be) {
    Test test(handle);
    Looks looks;
    looks.round();
    looks.set(1, looks.now_ns(1) + kMost);
    for (u32 second = 0; second < 20; ++second) test.equal("broken by", looks.round(), 0);
}

// The two records differ about the same moment. At its first look CPU 1 has a new record. From then
// on the looks at both CPUs find the difference, and the second finding in a row reports it.
KVMPV_TEST(promise, records_disagree) {
    Test test(handle);
    Looks looks;
    looks.round();
    looks.set(1, looks.now_ns(1) + 100'000);
    test.equal("CPU 1 has a new record", looks.round(), 0);
    test.equal("found", looks.round(), 0);
    looks.wait_a_second();
    test.between("found again, by CPU 0", looks.look(0), 99'999, 100'001);
}

// The records are the same, but the TSCs differ.
KVMPV_TEST(promise, tscs_disagree) {
    Test test(handle);
    Looks looks;
    looks.set_tsc_behind(1, 1'000 + kMost + 1);
    test.equal("first second", looks.round(), 0);
    test.equal("second", looks.round(), kMost + 1);

    Looks closer;
    closer.set_tsc_behind(1, 1'000 + kMost);
    for (u32 second = 0; second < 20; ++second) test.equal("broken by", closer.round(), 0);
}

// The host sets the clock back for all CPUs at once. They still agree.
KVMPV_TEST(promise, set_back_for_all) {
    Test test(handle);
    for (const s64 by_ns : {s64{-1'500}, s64{-1'000'000}, s64{-5'000'000'000}}) {
        Looks looks;
        for (u32 second = 0; second < 3; ++second) looks.round();
        looks.wait_a_second();
        test.equal("a look at CPU 0", looks.look(0), 0);
        looks.step_all(by_ns - 2'000);
        test.equal("and CPU 1 after the step", looks.look(1), 0);
        for (u32 second = 0; second < 20; ++second)
            if (!test.equal("broken by", looks.round(), 0)) return;
    }
}

KVMPV_TEST(promise, set_forward_for_all) {
    Test test(handle);
    Looks looks;
    for (u32 second = 0; second < 10; ++second) {
        looks.wait_a_second();
        test.equal("CPU 0", looks.look(0), 0);
        looks.step_all(3'000'000);
        test.equal("CPU 1", looks.look(1), 0);
    }
}

// A difference that is found once and then gone has no effect, and the next one counts anew.
KVMPV_TEST(promise, wrong_for_a_moment) {
    Test test(handle);
    Looks looks;
    looks.round();
    for (u32 time = 0; time < 5; ++time) {
        const u64 right_ns = looks.now_ns(0) + 2 * kSecond;
        looks.set(1, looks.now_ns(1) + 50'000);
        test.equal("CPU 1 has a new record", looks.round(), 0);
        test.equal("found once", looks.round(), 0);
        looks.wait_a_second();
        looks.set_all(looks.now_ns(0));
        test.equal("mended, CPU 0", looks.look(0), 0);
        test.equal("mended, CPU 1", looks.look(1), 0);
        test.equal("agrees", looks.round(), 0);
        test.at_least("time goes on", looks.now_ns(0), right_ns);
    }
}

// Every look finds a new update, so that no two looks can be compared. But a host that sets a CPU's
// clock back again and again breaks its promise, too.
KVMPV_TEST(promise, set_back_again_and_again) {
    Test test(handle);
    Looks looks;
    looks.round();
    u64 broken = 0;
    u32 second = 0;
    for (; second < 10 && !broken; ++second) {
        looks.wait_a_second();
        looks.set(0, looks.now_ns(0));
        looks.look(0);
        looks.set(1, looks.now_ns(0) - 10'000);
        broken = looks.look(1);
    }
    test.equal("seconds", second, 3);
    test.equal("broken by", broken, 9'000);
}

KVMPV_SUITE(promise);
