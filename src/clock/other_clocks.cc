// SPDX-License-Identifier: GPL-2.0-only

#include "clock/other_clocks.hh"

#include "base/irqs.hh"
#include "base/mutex.hh"
#include "clock/clock.hh"
#include "clock/pairing.hh"
#include "x86.hh"

namespace kvmpv {

constinit OtherClocks other_clocks;

namespace {

constexpr u64 kNsPerSecond = 1'000'000'000;
constexpr u64 kFsPerNs = 1'000'000;
// ACPI specification 6.5, section 4.8.1.4: the power management timer counts at this rate, in 24 or
// in 32 bits. Only the lower 24 are used.
constexpr u64 kAcpiPmHz = 3'579'545;
constexpr u64 kAcpiPmModulus = u64{1} << 24;
// The HPET may count in 64 bits, but a read of that width is not guaranteed to be a single access.
constexpr u64 kHpetModulus = u64{1} << 32;

u64 tsc() { return clock.has_rdtscp() ? x86::rdtscp() : x86::lfence_rdtsc(); }

// Stores what the clock's ticks mean and returns 0, or returns a negative errno if it is missing.
int find(OtherClock which, Counter& counter) {
    switch (which) {
        case OtherClock::kTsc:
            counter = {kFsPerNs, linux_tsc_khz(), 0};
            return counter.ns_denominator ? 0 : -kEnodev;
        case OtherClock::kHpet:
            counter = {0, kFsPerNs, kHpetModulus};
            return linux_hpet_create(&counter.ns_numerator);
        case OtherClock::kAcpiPm:
            counter = {kNsPerSecond, kAcpiPmHz, kAcpiPmModulus};
            return linux_acpi_pm_create();
        // The first look tells whether there is one. Asking here, too, would cost twice as much.
        case OtherClock::kRtc: counter = {kNsPerSecond, 1, 0}; return 0;
        case OtherClock::kMonotonicRaw:
        // As with the RTC, the first look tells.
        case OtherClock::kHostRealtime: counter = {1, 1, 0}; return 0;
    }
    return -kEnodev;
}

int read(OtherClock which, u64& count) {
    switch (which) {
        case OtherClock::kTsc: count = tsc(); return 0;
        case OtherClock::kHpet: count = linux_hpet_read(); return 0;
        case OtherClock::kAcpiPm: count = linux_acpi_pm_read() & (kAcpiPmModulus - 1); return 0;
        case OtherClock::kRtc: return linux_rtc_read(&count);
        case OtherClock::kMonotonicRaw: count = linux_monotonic_raw_ns(); return 0;
        case OtherClock::kHostRealtime: break;  // look_at_host()
    }
    return -kEnodev;
}

// Reads our clock before and after `action`.
template <class Action>
void time_around(ClockLook& look, Action&& action) {
    look.before_ns = clock.now_ns();
    action();
    look.after_ns = clock.now_ns();
}

// With interrupts off, because anything that comes in between widens the error bound.
template <class Action>
void time_around_undisturbed(ClockLook& look, Action&& action) {
    const IrqsOff irqs_off;
    time_around(look, action);
}

struct Look {
    ClockLook clock;
    u64 read_ns;  // what it took
};

// The host names the TSC at which it read its clock. So where our clock at that TSC is known, what
// the hypercall takes is no error.
int look_at_host(Look& look) {
    const Result<Pairing::Answer> asked = pairing.ask();
    if (!asked.ok()) return asked.error().negative_errno();
    const PairingLook& answer = asked.value().look;
    if (!answer.answered()) return -kEio;
    look.clock = {answer.host_ns, answer.clock_before_ns, answer.clock_after_ns};
    look.read_ns = answer.clock_after_ns - answer.clock_before_ns;
    if (const std::optional<u64> at = asked.value().clock_ns)
        look.clock = {answer.host_ns, *at, *at + 1};
    return 0;
}

int look_at(OtherClock which, Look& look) {
    if (which == OtherClock::kHostRealtime) return look_at_host(look);
    int error = 0;
    const auto read_it = [&] { error = read(which, look.clock.count); };
    // The RTC driver sleeps.
    if (which == OtherClock::kRtc)
        time_around(look.clock, read_it);
    else
        time_around_undisturbed(look.clock, read_it);
    look.read_ns = look.clock.after_ns - look.clock.before_ns;
    return error;
}

template <class Action>
u64 ns_of(Action&& action) {
    ClockLook look{};
    time_around_undisturbed(look, action);
    return look.after_ns - look.before_ns;
}

}  // namespace

const char* other_clock_name(OtherClock which) {
    switch (which) {
        case OtherClock::kTsc: return "tsc";
        case OtherClock::kHpet: return "hpet";
        case OtherClock::kAcpiPm: return "acpi_pm";
        case OtherClock::kRtc: return "rtc";
        case OtherClock::kMonotonicRaw: return "monotonic_raw";
        case OtherClock::kHostRealtime: return "host_realtime";
    }
    return "?";
}

Result<void> OtherClocks::start(const kvmpv_parameters&) {
    if (!clock.enabled()) return {};
    for (u32 i = 0; i < kNumOtherClocks; ++i)
        known_[i].present = find(static_cast<OtherClock>(i), known_[i].counter);
    for (u32 i = 0; i < kNumOtherClocks; ++i) {
        Known& known = known_[i];
        Look first{};
        if (known.present == 0) known.present = look_at(static_cast<OtherClock>(i), first);
        known.has_first = known.present == 0;
        known.first = first.clock;
    }
    return {};
}

void OtherClocks::stop() {
    linux_hpet_destroy();
    known_ = {};
}

u64 OtherClocks::Answers::cost_in_cpuids(u64 read_ns) const {
    const auto beyond = [&](u64 ns) { return ns > own_read_ns ? ns - own_read_ns : 0; };
    const u64 unit_ns = beyond(cpuid_ns);
    return unit_ns ? (beyond(read_ns) + unit_ns / 2) / unit_ns : 0;
}

bool OtherClocks::look(Answers& answers) {
    if (!clock.enabled()) return false;
    const MutexLock lock(KVMPV_MUTEX_OTHER_CLOCKS);
    if (__atomic_exchange_n(&forgotten_, false, __ATOMIC_RELAXED))
        for (Known& known : known_) known.has_first = false;
    answers.own_read_ns = ns_of([] {});
    answers.cpuid_ns = ns_of([] { x86::cpuid(0); });
    for (u32 i = 0; i < kNumOtherClocks; ++i) {
        Known& known = known_[i];
        Look last{};
        Answer answer{known.present, known.counter, 0, std::nullopt};
        if (known.present == 0) answer.present = look_at(static_cast<OtherClock>(i), last);
        if (answer.present == 0) {
            answer.read_ns = last.read_ns;
            if (known.has_first)
                answer.drift = drift(known.counter, known.first, last.clock);
            else
                known.first = last.clock;
            known.has_first = true;
        }
        answers.of[i] = answer;
    }
    return true;
}

}  // namespace kvmpv
