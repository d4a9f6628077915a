// SPDX-License-Identifier: GPL-2.0-only
//
// One hypercall KVM_HC_CLOCK_PAIRING: the host's CLOCK_REALTIME, the guest's TSC at the same
// moment, and what the guest's own clocks showed then. The host's answer is not trusted: one that
// cannot be true is refused. Any context.

#pragma once

#include "kvmpv/abi.hh"
#include "kvmpv/disruption.hh"
#include "kvmpv/drift.hh"

namespace kvmpv {

// Why an answer is refused.
enum class PairingFault : u8 {
    kNone,
    kNotWritten,
    kSeconds,      // before 1970, or too many for a time in ns
    kNanoseconds,  // negative, or a second or more
    kTscBehind,    // before the hypercall
    kTscAhead,     // after the hypercall
};

constexpr const char* pairing_fault_text(PairingFault fault) {
    switch (fault) {
        case PairingFault::kNone: return "-";
        case PairingFault::kNotWritten: return "the host has written nothing";
        case PairingFault::kSeconds: return "seconds out of range";
        case PairingFault::kNanoseconds: return "nanoseconds out of range";
        case PairingFault::kTscBehind: return "a TSC before the hypercall";
        case PairingFault::kTscAhead: return "a TSC after the hypercall";
    }
    return "?";
}

// The guest and its host, or a script in a test. All on one CPU, with interrupts off.
template <class T>
concept PairingMachine = TscMachine<T> && requires(T& machine) {
    { machine.realtime_ns() } -> std::same_as<u64>;  // CLOCK_REALTIME
    { machine.clock_ns() } -> std::same_as<u64>;     // our clock, or 0 if there is none
    { machine.ask() } -> std::same_as<s64>;          // the hypercall
};

// How far the host's CLOCK_REALTIME is ahead of the guest's.
struct RealtimeOffset {
    u64 realtime_ns;  // the guest's
    s64 offset_ns;    // correct to within error_ns
    u64 error_ns;
};

struct PairingLook {
    s64 returned;  // by the hypercall. The rest is valid only if it is 0
    PairingFault fault;
    // The host's answer, which is valid only without a fault.
    u64 host_ns;  // its CLOCK_REALTIME
    u64 tsc;
    u32 flags;
    // What was read right before and right after the hypercall.
    u64 realtime_before_ns;
    u64 realtime_after_ns;
    u64 clock_before_ns;
    u64 clock_after_ns;

    constexpr bool answered() const { return returned == 0 && fault == PairingFault::kNone; }

    // Nothing if somebody has set the guest's clock back between the two reads.
    constexpr std::optional<RealtimeOffset> offset() const {
        if (realtime_after_ns < realtime_before_ns) return std::nullopt;
        const ClockLook guest{host_ns, realtime_before_ns, realtime_after_ns};
        // One more, because both clocks show whole nanoseconds.
        return RealtimeOffset{guest.middle_ns(), static_cast<s64>(host_ns - guest.middle_ns()),
                              guest.error_ns() + 1};
    }

    // What our clock showed at `tsc`, computed from this CPU's record as it was before the
    // hypercall. Nothing if that does not agree with the two reads of our clock: the host has
    // updated the record in between, or the guard is ahead of it.
    constexpr std::optional<u64> clock_ns(const ClockSample& record) const {
        if (!record.can_tell_time() || tsc < record.tsc_timestamp) return std::nullopt;
        const u64 ns = record.ns_at(tsc);
        if (ns < clock_before_ns || ns > clock_after_ns) return std::nullopt;
        return ns;
    }
};

namespace pairing_detail {

inline constexpr s64 kNsPerSecond = 1'000'000'000;
// With this many seconds the time in ns fits in an s64.
inline constexpr s64 kMostSeconds = std::numeric_limits<s64>::max() / kNsPerSecond - 1;
// Put into the area before the hypercall. No valid answer has it: it is not a number of
// nanoseconds.
inline constexpr s64 kNothing = -1;

constexpr PairingFault fault_of(s64 seconds, s64 nanoseconds, u64 tsc, u64 before, u64 after) {
    if (seconds == kNothing && nanoseconds == kNothing) return PairingFault::kNotWritten;
    if (seconds < 0 || seconds > kMostSeconds) return PairingFault::kSeconds;
    if (nanoseconds < 0 || nanoseconds >= kNsPerSecond) return PairingFault::kNanoseconds;
    if (tsc < before) return PairingFault::kTscBehind;
    if (tsc > after) return PairingFault::kTscAhead;
    return PairingFault::kNone;
}

}  // namespace pairing_detail

// Asks the host, which answers in `area`. Each field is read once, because the host can write there
// at any time.
template <PairingMachine Machine>
PairingLook take_pairing(Machine& machine, KvmClockPairing& area) {
    using namespace pairing_detail;
    area.sec = kNothing;
    area.nsec = kNothing;
    machine.barrier();

    PairingLook look{};
    look.realtime_before_ns = machine.realtime_ns();
    look.clock_before_ns = machine.clock_ns();
    const u64 tsc_before = machine.ordered_tsc();
    look.returned = machine.ask();
    const u64 tsc_after = machine.ordered_tsc();
    look.clock_after_ns = machine.clock_ns();
    look.realtime_after_ns = machine.realtime_ns();
    if (look.returned != 0) return look;

    const s64 seconds = machine.load(area.sec);
    const s64 nanoseconds = machine.load(area.nsec);
    look.tsc = machine.load(area.tsc);
    look.flags = machine.load(area.flags);
    look.fault = fault_of(seconds, nanoseconds, look.tsc, tsc_before, tsc_after);
    if (look.fault == PairingFault::kNone)
        look.host_ns = static_cast<u64>(seconds * kNsPerSecond + nanoseconds);
    return look;
}

}  // namespace kvmpv
