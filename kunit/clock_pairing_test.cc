// SPDX-License-Identifier: GPL-2.0-only
//
// clock_pairing.hh against a host that answers late, wrongly or not at all.

#include "kvmpv/clock_pairing.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

constexpr s64 kMost = std::numeric_limits<s64>::max();
constexpr s64 kLeast = std::numeric_limits<s64>::min();
constexpr s64 kSecond = 1'000'000'000;

// A guest whose TSC runs at 1 GHz from 5000 on, and whose clocks are read in a nanosecond. The
// hypercall takes 100, and in the middle of it the host reads its clock.
class PairedHost {
public:
    static constexpr u64 kStartTsc = 5'000;
    static constexpr u64 kRealtime = 1'700'000'000 * u64{kSecond};
    static constexpr u64 kClock = 40'000;

    // What the host does.
    s64 ahead_ns = 0;                                 // its CLOCK_REALTIME is ahead of the guest's
    s64 returns = 0;                                  // from the hypercall
    bool writes = true;                               // its answer
    void (*lies)(KvmClockPairing& answer) = nullptr;  // changes the answer

    // What the kernel does, while the host answers.
    s64 step_ns = 0;  // sets CLOCK_REALTIME

    KvmClockPairing area{};
    u32 loads_of_nsec = 0;

    u64 realtime_ns() { return kRealtime + passed() + static_cast<u64>(stepped_ns_); }
    u64 clock_ns() { return kClock + passed(); }
    u64 ordered_tsc() { return kStartTsc + passed(); }

    s64 ask() {
        now_ += 50;
        const u64 host_ns = kRealtime + now_ + static_cast<u64>(ahead_ns);
        if (writes)
            area = {static_cast<s64>(host_ns / kSecond),
                    static_cast<s64>(host_ns % kSecond),
                    kStartTsc + now_,
                    0,
                    {}};
        if (lies) lies(area);
        stepped_ns_ = step_ns;
        now_ += 50;
        return returns;
    }

    template <class T>
    T load(const T& shared) {
        const T value = shared;
        if (static_cast<const void*>(&shared) == &area.nsec) {
            ++loads_of_nsec;
            area.nsec = kMost;  // as a host that waits until it has been looked at
        }
        return value;
    }
    static void barrier() {}

private:
    u64 passed() { return now_++; }
    u64 now_ = 0;
    s64 stepped_ns_ = 0;
};

// The record of the CPU that asks: our clock is ahead of the TSC by 35'000 ns.
constexpr ClockSample record() {
    ClockSample sample;
    sample.tsc = 4'500;
    sample.tsc_timestamp = 4'000;
    sample.system_time_ns = 39'000;
    sample.tsc_to_system_mul = 0x8000'0000;
    sample.tsc_shift = 1;
    sample.known = true;
    return sample;
}

PairingFault fault_of(void (*lies)(KvmClockPairing&)) {
    PairedHost host;
    host.lies = lies;
    return take_pairing(host, host.area).fault;
}

}  // namespace

KVMPV_TEST(clock_pairing, one_moment) {
    Test test(handle);
    PairedHost host;
    host.ahead_ns = 7 * kSecond;
    const PairingLook look = take_pairing(host, host.area);
    if (!test.is_true("answered", look.answered())) return;
    // Three reads, and half of the hypercall.
    test.equal("tsc", look.tsc, PairedHost::kStartTsc + 53);
    test.equal("host_ns", look.host_ns, PairedHost::kRealtime + 53 + 7 * kSecond);
    test.equal("flags", look.flags, 0);
    const std::optional<u64> clock = look.clock_ns(record());
    if (!test.is_true("our clock", clock.has_value())) return;
    test.equal("clock_ns", *clock, PairedHost::kClock + 53);
    test.equal("one look at a field", host.loads_of_nsec, 1);
}

// Five steps and the hypercall lie between the two reads of CLOCK_REALTIME: 105 ns.
KVMPV_TEST(clock_pairing, offset) {
    Test test(handle);
    for (const s64 ahead : {s64{0}, 3 * kSecond, -3 * kSecond, s64{1}, s64{-1}}) {
        PairedHost host;
        host.ahead_ns = ahead;
        const std::optional<RealtimeOffset> found = take_pairing(host, host.area).offset();
        if (!test.is_true("found", found.has_value())) continue;
        test.equal("realtime_ns", found->realtime_ns, PairedHost::kRealtime + 52);
        test.equal("error_ns", found->error_ns, 53 + 1);
        const s64 wrong = found->offset_ns - ahead;
        test.between("offset_ns", static_cast<u64>(wrong < 0 ? -wrong : wrong), 0, 54);
    }
}

// Wherever in the hypercall the host reads its clock, the offset is right within the error.
KVMPV_TEST(clock_pairing, error_bound) {
    Test test(handle);
    PairingLook look{};
    for (const u64 width : {u64{0}, u64{1}, u64{2}, u64{99}, u64{100}}) {
        look.realtime_before_ns = PairedHost::kRealtime;
        look.realtime_after_ns = PairedHost::kRealtime + width;
        // The two clocks agree, and each hides what it is short of a whole nanosecond.
        for (u64 at = 0; at <= width; ++at) {
            look.host_ns = PairedHost::kRealtime + at;
            const std::optional<RealtimeOffset> found = look.offset();
            if (!test.is_true("found", found.has_value())) return;
            const s64 offset = found->offset_ns;
            test.between("offset_ns", static_cast<u64>(offset < 0 ? -offset : offset), 0,
                         found->error_ns - 1);
        }
    }
}

KVMPV_TEST(clock_pairing, realtime_is_set_meanwhile) {
    Test test(handle);
    PairedHost back;
    back.step_ns = -kSecond;
    const PairingLook look = take_pairing(back, back.area);
    test.is_true("answered", look.answered());
    test.is_false("set back", look.offset().has_value());
    PairedHost forward;
    forward.step_ns = 10 * kSecond;
    const std::optional<RealtimeOffset> found = take_pairing(forward, forward.area).offset();
    if (!test.is_true("set forward", found.has_value())) return;
    test.equal("error_ns has the step", found->error_ns, 5 * kSecond + 53 + 1);
}

KVMPV_TEST(clock_pairing, not_offered) {
    Test test(handle);
    for (const s64 error : {-kKvmEopnotsupp, -kKvmEnosys, -kKvmEfault, s64{1}, kLeast}) {
        PairedHost host;
        host.returns = error;
        const PairingLook look = take_pairing(host, host.area);
        test.is_false("answered", look.answered());
        test.equal("returned", look.returned, error);
        test.equal("no fault of an answer", look.fault, PairingFault::kNone);
        test.equal("not looked at", host.loads_of_nsec, 0);
    }
}

KVMPV_TEST(clock_pairing, nothing_written) {
    Test test(handle);
    PairedHost host;
    take_pairing(host, host.area);
    // What stands there is the answer to the last question.
    host.writes = false;
    const PairingLook look = take_pairing(host, host.area);
    test.equal("fault", look.fault, PairingFault::kNotWritten);
    test.is_false("answered", look.answered());
}

KVMPV_TEST(clock_pairing, seconds) {
    Test test(handle);
    using Answer = KvmClockPairing;
    constexpr auto kSeconds = PairingFault::kSeconds;
    test.equal("-1", fault_of([](Answer& answer) { answer.sec = -1; }), kSeconds);
    test.equal("least", fault_of([](Answer& answer) { answer.sec = kLeast; }), kSeconds);
    test.equal("most", fault_of([](Answer& answer) { answer.sec = kMost; }), kSeconds);
    test.equal("too many", fault_of([](Answer& answer) { answer.sec = 9'223'372'036; }), kSeconds);
    test.equal("0", fault_of([](Answer& answer) { answer.sec = 0; }), PairingFault::kNone);

    PairedHost host;
    host.lies = [](Answer& answer) {
        answer.sec = 9'223'372'035;
        answer.nsec = kSecond - 1;
    };
    const PairingLook look = take_pairing(host, host.area);
    test.is_true("the last one", look.answered());
    test.equal("the last one", look.host_ns, 9'223'372'035'999'999'999);
}

KVMPV_TEST(clock_pairing, nanoseconds) {
    Test test(handle);
    using Answer = KvmClockPairing;
    constexpr auto kNanoseconds = PairingFault::kNanoseconds;
    test.equal("-1", fault_of([](Answer& answer) { answer.nsec = -1; }), kNanoseconds);
    test.equal("least", fault_of([](Answer& answer) { answer.nsec = kLeast; }), kNanoseconds);
    test.equal("a second", fault_of([](Answer& answer) { answer.nsec = kSecond; }), kNanoseconds);
    test.equal("most", fault_of([](Answer& answer) { answer.nsec = kMost; }), kNanoseconds);
    test.equal("999999999", fault_of([](Answer& answer) { answer.nsec = kSecond - 1; }),
               PairingFault::kNone);
}

// The TSC is read as the third and as the fourth step: 5002 and 5103.
KVMPV_TEST(clock_pairing, tsc) {
    Test test(handle);
    using Answer = KvmClockPairing;
    test.equal("0", fault_of([](Answer& answer) { answer.tsc = 0; }), PairingFault::kTscBehind);
    test.equal("one before", fault_of([](Answer& answer) { answer.tsc = 5'001; }),
               PairingFault::kTscBehind);
    test.equal("first", fault_of([](Answer& answer) { answer.tsc = 5'002; }), PairingFault::kNone);
    test.equal("last", fault_of([](Answer& answer) { answer.tsc = 5'103; }), PairingFault::kNone);
    test.equal("one after", fault_of([](Answer& answer) { answer.tsc = 5'104; }),
               PairingFault::kTscAhead);
    test.equal("most", fault_of([](Answer& answer) { answer.tsc = ~u64{0}; }),
               PairingFault::kTscAhead);
}

// Our clock is not told from a record that cannot tell, or that our clock itself contradicts.
KVMPV_TEST(clock_pairing, our_clock) {
    Test test(handle);
    PairedHost host;
    const PairingLook look = take_pairing(host, host.area);
    const auto told = [&](auto&& change) {
        ClockSample sample = record();
        change(sample);
        return look.clock_ns(sample).has_value();
    };
    test.is_true("as it is", told([](ClockSample&) {}));
    test.is_false("unknown", told([](ClockSample& sample) { sample.known = false; }));
    test.is_false("torn", told([](ClockSample& sample) { sample.torn = true; }));
    test.is_false("shift", told([](ClockSample& sample) { sample.tsc_shift = 33; }));
    test.is_false("younger than the answer", told([](ClockSample& sample) {
                      sample.tsc = 6'000;
                      sample.tsc_timestamp = 5'500;
                  }));
    // The clock was read at 40001 and at 40104, and the host's TSC means 40053.
    test.is_true("at the first read", told([](ClockSample& s) { s.system_time_ns -= 52; }));
    test.is_false("before it", told([](ClockSample& s) { s.system_time_ns -= 53; }));
    test.is_true("at the second read", told([](ClockSample& s) { s.system_time_ns += 51; }));
    test.is_false("after it", told([](ClockSample& s) { s.system_time_ns += 52; }));
}

KVMPV_SUITE(clock_pairing);
