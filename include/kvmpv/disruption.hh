// SPDX-License-Identifier: GPL-2.0-only
//
// What has happened to a clock between two looks at one CPU's record? The decision alone: when to
// look and whom to tell is src/sampler.cc's part.

#pragma once

#include "kvmpv/pvclock.hh"

namespace kvmpv {

enum class EventKind : u8 {
    // Of a record, by compare().
    kRateChanged,   // multiplier or shift; value: how much faster, in parts per billion
    kJumpForward,   // system_time against extrapolation; value: ns
    kJumpBackward,  // likewise, and not by a pause
    kPause,         // the clock stood still while the TSC ran; value: ns
    kStableLost,    // the host took its promise back that all records agree
    kStableGained,
    kRecordTorn,   // no consistent look within the bound; value: clock reads that met it
    kBadShift,     // |tsc_shift| > 31; value: the shift
    kTscBehind,    // the record's timestamp is ahead of the TSC; value: ticks
    kTscBackward,  // the TSC itself went back between two looks; value: ticks
    // Of the clock, by the sampler and the switch.
    kHeldBack,       // the guard held back twice as large a step as ever; value: ns
    kStableRevoked,  // CPUs disagreed on a host that promised they do not; value: ns
    kGuardForced,    // clock/force_unstable was set; no disruption
    kGuardReleased,  // … and taken back
    // Of steal time.
    kStealBackward,  // the record went back, or was behind what the kernel had; value: ns
    kStealForward,   // the record grew by more than the time that passed; value: ns too many
    kNumEventKinds,
};
inline constexpr u32 kNumEventKinds = static_cast<u32>(EventKind::kNumEventKinds);

struct EventKindInfo {
    const char* name;
    const char* unit;
    // What the host did to the clock. Not what the operator asked for, nor what became of steal
    // time; and not what the guard held
    // back, because a vCPU that is off its CPU between its TSC and the guard is held back, too.
    bool is_disruption;
};

inline constexpr EventKindInfo kEventKinds[kNumEventKinds] = {
    {"rate_changed", "ppb", true},   {"jump_forward", "ns", true},
    {"jump_backward", "ns", true},   {"pause", "ns", true},
    {"stable_lost", "-", true},      {"stable_gained", "-", true},
    {"page_torn", "reads", true},    {"bad_shift", "bits", true},
    {"tsc_behind", "ticks", true},   {"tsc_backward", "ticks", true},
    {"held_back", "ns", false},      {"stable_revoked", "ns", true},
    {"guard_forced", "-", false},    {"guard_released", "-", false},
    {"steal_backward", "ns", false}, {"steal_forward", "ns", false},
};

constexpr const EventKindInfo& info(EventKind kind) { return kEventKinds[static_cast<u32>(kind)]; }

// ---- What counts as a step ------------------------------------------------------------------

// Under the host's promise a clock that goes on shows no more than rounding: the host cuts its
// system_time to whole ns, and so do we with what we extrapolate, before and after.
inline constexpr u64 kStableRoundingNs = 2;

// Without the promise every update is a new pair of readings of the host's TSC and of the clock it
// runs on, and what comes between the two readings is in the record: an exit of the host's own, or
// the microsecond that an HPET takes. 100 us is above that. And the rate that the record is written
// with and the rate of the clock it is taken from differ by what calibration leaves and NTP slews:
// at most 500 ppm.
inline constexpr u64 kUnstableNoiseNs = 100'000;
inline constexpr u64 kUnstablePerMillion = 500;

// Without the host's flag a clock that stood still is told from one that was set back by its
// length: stopping and continuing a guest takes a host longer than this, and no correction of a
// host's clock is as large as this.
inline constexpr u64 kPauseMinNs = 10'000'000;

// How far two CPUs' clocks may be apart under the promise: the rounding, and what the host's kernel
// lets pass as synchronous TSCs, which is nothing that it can see, less than the way of a cache
// line from CPU to CPU. 1 us is several times both.
inline constexpr u64 kStableDisagreementNs = 1'000;

// CPUs that read on the guarded path at the same moment hold each other back by some 10 ns.
inline constexpr u64 kHeldBackMinNs = 1'000;

// ---- Two looks ------------------------------------------------------------------------------

// A record as it was found, with the TSC of the same CPU at that moment.
struct ClockSample {
    u64 tsc = 0;
    u64 tsc_timestamp = 0;
    u64 system_time_ns = 0;
    u32 tsc_to_system_mul = 0;
    s8 tsc_shift = 0;
    u8 flags = 0;
    bool known = false;  // the fields mean something: there was a whole record of this CPU's once
    bool torn = false;   // the last look found no whole one; the fields are older

    // Two records of the same update of the host's, possibly on different CPUs.
    constexpr bool same_update(const ClockSample& other) const {
        return tsc_timestamp == other.tsc_timestamp && system_time_ns == other.system_time_ns &&
               same_rate(other);
    }
    constexpr bool same_rate(const ClockSample& other) const {
        return tsc_to_system_mul == other.tsc_to_system_mul && tsc_shift == other.tsc_shift;
    }
    constexpr bool tsc_is_behind() const { return static_cast<s64>(tsc - tsc_timestamp) < 0; }
    constexpr bool can_be_read() const { return tsc_shift_is_sane(tsc_shift) && !tsc_is_behind(); }

    constexpr bool can_tell_time() const { return known && !torn && can_be_read(); }

    // For a tsc not before tsc_timestamp.
    constexpr u64 ns_at(u64 at_tsc) const {
        return system_time_ns +
               scale_tsc_delta(at_tsc - tsc_timestamp, tsc_to_system_mul, tsc_shift);
    }
};

// Looks at `record`, on the CPU that owns it, with interrupts off. What cannot be found out stays
// as it was `before`.
template <class Machine>
ClockSample look(Machine& machine, const PvclockVcpuTimeInfo& record, const ClockSample& before) {
    ClockSample now = before;
    now.torn = false;
    if (machine.load(record.version) == 0) return now;  // never written
    const auto take = [&]() __attribute__((always_inline)) {
        now.tsc = machine.ordered_tsc();
        now.tsc_timestamp = machine.load(record.tsc_timestamp);
        now.system_time_ns = machine.load(record.system_time);
        now.tsc_to_system_mul = machine.load(record.tsc_to_system_mul);
        now.tsc_shift = machine.load(record.tsc_shift);
        now.flags = machine.load(record.flags);
    };
    if (!version_read(machine, record.version, take)) {
        now = before;
        now.torn = true;
        return now;
    }
    now.known = true;
    return now;
}

// By how much two CPUs' clocks differ at the moment of the earlier of two looks, on `other`'s CPU;
// 0 where it cannot be told.
static constexpr u64 disagreement_ns(const ClockSample& own, const ClockSample& other) {
    const bool told = own.known && other.known && !own.torn && !other.torn && own.can_be_read() &&
                      other.can_be_read() && (own.flags & other.flags & kPvclockTscStable) &&
                      other.tsc >= own.tsc_timestamp;
    if (!told) return 0;
    const u64 own_ns = own.ns_at(other.tsc);
    const u64 other_ns = other.ns_at(other.tsc);
    return own_ns > other_ns ? own_ns - other_ns : other_ns - own_ns;
}

struct Disruption {
    EventKind kind;
    s64 value;
};

// What compare() found, in the order of EventKind.
class Disruptions {
public:
    constexpr void add(EventKind kind, s64 value) { found_[count_++] = {kind, value}; }
    constexpr const Disruption* begin() const { return found_.data(); }
    constexpr const Disruption* end() const { return found_.data() + count_; }
    constexpr u32 count() const { return count_; }

private:
    // A jump or a pause; lost or gained; torn or any of the others: six at most.
    std::array<Disruption, 8> found_{};
    u32 count_ = 0;
};

namespace disruption {

// New rate over old, less one, in parts per billion; the largest s64 where it is more.
static constexpr s64 rate_change_ppb(const ClockSample& before, const ClockSample& now) {
    constexpr u64 kBillion = 1'000'000'000;
    constexpr s64 kMost = std::numeric_limits<s64>::max();
    if (before.tsc_to_system_mul == 0) return kMost;
    // mul * 2^shift; with the smaller shift taken from both, one of the two is 0.
    const int smaller = before.tsc_shift < now.tsc_shift ? before.tsc_shift : now.tsc_shift;
    const int before_shift = before.tsc_shift - smaller;
    const int now_shift = now.tsc_shift - smaller;
    // At most 2^32 * 2^30 * 2^62 in the numerator: below 2^128. The shifts add up to 62 at most.
    const u128 numerator = static_cast<u128>(now.tsc_to_system_mul) * kBillion << now_shift;
    const u128 denominator = static_cast<u128>(before.tsc_to_system_mul) << before_shift;
    const u64 ceiling = static_cast<u64>(kMost);
    // 128-bit division is a call into a library that a kernel has not. Both are cut to what a
    // 64-bit one takes; what is cut off is below a part in 2^31.
    u128 n = numerator;
    u128 d = denominator;
    while (d >> 32) n >>= 1, d >>= 1;
    const u64 divisor = static_cast<u64>(d);
    // Long division, 32 bits of the quotient at a time.
    u64 rest = 0;
    u128 quotient = 0;
    for (int part = 3; part >= 0; --part) {
        const u64 digit = (rest << 32) | static_cast<u32>(n >> (32 * part));
        quotient = quotient << 32 | digit / divisor;
        rest = digit % divisor;
    }
    const u64 ratio_ppb = quotient > ceiling ? ceiling : static_cast<u64>(quotient);
    return static_cast<s64>(ratio_ppb) - static_cast<s64>(kBillion);
}

// How far the new record leads the old one where one takes over from the other: at the moment that
// the host names, unless that lies outside of what we know it to be, between the two looks.
static constexpr s64 discontinuity_ns(const ClockSample& before, const ClockSample& now) {
    const u64 at_tsc = now.tsc_timestamp > before.tsc ? now.tsc_timestamp : before.tsc;
    return static_cast<s64>(now.ns_at(at_tsc) - before.ns_at(at_tsc));
}

static constexpr u64 tolerance_ns(const ClockSample& before, const ClockSample& now, bool stable) {
    if (stable) return kStableRoundingNs;
    const u64 elapsed_ns = now.ns_at(now.tsc) - now.system_time_ns;
    const u64 since_ns = before.ns_at(now.tsc) - before.system_time_ns;
    const u64 longer_ns = elapsed_ns > since_ns ? elapsed_ns : since_ns;
    return kUnstableNoiseNs + longer_ns / 1'000'000 * kUnstablePerMillion;
}

// A jump, a pause, or nothing.
static constexpr void find_step(const ClockSample& before, const ClockSample& now, bool stable,
                                Disruptions& found) {
    const s64 step_ns = discontinuity_ns(before, now);
    const u64 size_ns =
        step_ns < 0 ? u64{0} - static_cast<u64>(step_ns) : static_cast<u64>(step_ns);
    const bool beyond = size_ns > tolerance_ns(before, now, stable);
    // The host says so; or it looks like one: the clock is behind the extrapolation, but from the
    // update on not behind what it showed at the last look. A record that was set back in place is.
    const bool told = (now.flags & ~before.flags & kPvclockGuestStopped) != 0;
    const bool stood_still =
        step_ns < 0 && size_ns >= kPauseMinNs && now.system_time_ns >= before.ns_at(before.tsc);
    if (beyond && step_ns > 0) found.add(EventKind::kJumpForward, step_ns);
    if (beyond && step_ns < 0 && !told && !stood_still)
        found.add(EventKind::kJumpBackward, static_cast<s64>(size_ns));
    if (told || stood_still)
        found.add(EventKind::kPause, step_ns < 0 ? static_cast<s64>(size_ns) : 0);
}

// The TSC cannot say how much time has passed; that the clock fell can be seen all the same.
static constexpr void find_fall(const ClockSample& before, const ClockSample& now,
                                Disruptions& found) {
    const u64 before_ns = before.ns_at(before.tsc);
    const u64 now_ns = now.ns_at(now.tsc);
    if (now_ns < before_ns)
        found.add(EventKind::kJumpBackward, static_cast<s64>(before_ns - now_ns));
}

}  // namespace disruption

// `stable_offered`: CPUID gives the stable flag a meaning.
static constexpr Disruptions compare(const ClockSample& before, const ClockSample& now,
                                     bool stable_offered) {
    Disruptions found;
    if (now.torn) {
        if (!before.torn) found.add(EventKind::kRecordTorn, 0);
        return found;
    }
    if (!now.known) return found;

    const bool first = !before.known;
    const bool updated = first || !now.same_update(before);
    const bool tsc_went_back = !first && now.tsc < before.tsc;
    const bool was_stable = stable_offered && (before.flags & kPvclockTscStable) != 0;
    const bool is_stable = stable_offered && (now.flags & kPvclockTscStable) != 0;
    const bool new_rate = !first && (now.tsc_to_system_mul != before.tsc_to_system_mul ||
                                     now.tsc_shift != before.tsc_shift);
    if (new_rate && tsc_shift_is_sane(before.tsc_shift) && tsc_shift_is_sane(now.tsc_shift))
        found.add(EventKind::kRateChanged, disruption::rate_change_ppb(before, now));
    if (!first && !tsc_went_back && before.can_be_read() && now.can_be_read())
        disruption::find_step(before, now, was_stable && is_stable, found);
    if (tsc_went_back && before.can_be_read() && now.can_be_read())
        disruption::find_fall(before, now, found);
    if (!first && was_stable && !is_stable) found.add(EventKind::kStableLost, 0);
    if (!first && !was_stable && is_stable) found.add(EventKind::kStableGained, 0);
    if (!tsc_shift_is_sane(now.tsc_shift) && (first || now.tsc_shift != before.tsc_shift))
        found.add(EventKind::kBadShift, now.tsc_shift);
    if (now.tsc_is_behind() && updated)
        found.add(EventKind::kTscBehind, static_cast<s64>(now.tsc_timestamp - now.tsc));
    if (tsc_went_back) found.add(EventKind::kTscBackward, static_cast<s64>(before.tsc - now.tsc));
    return found;
}

}  // namespace kvmpv
