// SPDX-License-Identifier: GPL-2.0-only
//
// What has the host done to a clock between two looks at one CPU's record? This file only decides
// that. The sampler says when to look and whom to tell.

#pragma once

#include "kvmpv/pvclock.hh"

namespace kvmpv {

enum class EventKind : u8 {
    // Of a clock record; compare() finds them.
    kRateChanged,   // new multiplier or shift; value: how much faster, in parts per billion
    kJumpForward,   // the clock is ahead of where it should be; value: ns
    kJumpBackward,  // the clock is behind, and not because of a pause; value: ns
    kPause,         // the clock stood still while the TSC ran; value: ns
    kStableLost,    // the host no longer promises that all records agree
    kStableGained,  // the host promises it now
    kRecordTorn,    // the record was not whole within the bound; value: clock reads that met it
    kBadShift,      // |tsc_shift| > 31; value: the shift
    kTscBehind,     // the record's timestamp is ahead of the TSC; value: ticks
    kTscBackward,   // the TSC itself went back between two looks; value: ticks
    // Of the clock as a whole; the sampler and the clock's switch find them.
    kHeldBack,       // the guard held back a step at least twice as large as any before; value: ns
    kStableRevoked,  // CPUs disagreed although the host promised that they agree; value: ns
    kGuardForced,    // clock/force_unstable was set
    kGuardReleased,  // clock/force_unstable was cleared
    kRecordRefused,  // after sleep the host took no slot; the clock continues without it
    // Of steal time.
    kStealBackward,  // the record went back, or was behind what the kernel had; value: ns
    kStealForward,   // the record grew by more than the time that passed; value: ns too many
    kNumEventKinds,
};
inline constexpr u32 kNumEventKinds = static_cast<u32>(EventKind::kNumEventKinds);

struct EventKindInfo {
    const char* name;
    const char* unit;
    // True if the host disrupted the clock. Not what the operator asked for and not steal time. Not
    // kHeldBack either: the guard also holds back a vCPU that the host stops between the read of
    // its TSC and the guard.
    bool is_disruption;
};

inline constexpr EventKindInfo kEventKinds[kNumEventKinds] = {
    {"rate_changed", "ppb", true},   {"jump_forward", "ns", true},   {"jump_backward", "ns", true},
    {"pause", "ns", true},           {"stable_lost", "-", true},     {"stable_gained", "-", true},
    {"record_torn", "reads", true},  {"bad_shift", "bits", true},    {"tsc_behind", "ticks", true},
    {"tsc_backward", "ticks", true}, {"held_back", "ns", false},     {"stable_revoked", "ns", true},
    {"guard_forced", "-", false},    {"guard_released", "-", false}, {"record_refused", "-", true},
    {"steal_backward", "ns", false}, {"steal_forward", "ns", false},
};

// `kind` is not kNumEventKinds.
constexpr const EventKindInfo& info(EventKind kind) { return kEventKinds[static_cast<u32>(kind)]; }

// ---- What counts as a step ------------------------------------------------------------------

// Under the host's promise an undisturbed clock is off by rounding only. The host truncates its
// system_time to whole ns, and we truncate what we extrapolate from the old and the new record.
inline constexpr u64 kStableRoundingNs = 2;

// Without the promise the host reads its TSC and its own clock anew for every update. Whatever
// delays it between these two reads goes into the record: an exit if the host is itself a guest, or
// the microsecond that an HPET takes. 100 us is more than that. Besides, the record's rate differs
// from that of the host's clock by calibration error and by NTP's slewing: at most 500 ppm.
inline constexpr u64 kUnstableNoiseNs = 100'000;
inline constexpr u64 kUnstablePerMillion = 500;

// If the host does not set kPvclockGuestStopped, only the size of the step tells a clock that stood
// still from one that was set back. A host takes longer than this to stop and continue a guest, and
// it does not correct its clock by as much.
inline constexpr u64 kPauseMinNs = 10'000'000;

// How far the clocks of two CPUs may be apart under the promise. Two things add up: rounding, and
// the TSC offset that the host's kernel cannot see when it checks that TSCs are synchronous, which
// is below the time that a cache line takes from CPU to CPU. 1 us is several times both.
inline constexpr u64 kStableDisagreementNs = 1'000;

// Smaller steps are not reported. CPUs that read on the guarded path at the same moment hold each
// other back by some 10 ns.
inline constexpr u64 kHeldBackMinNs = 1'000;

// ---- Two looks ------------------------------------------------------------------------------

// What one look at a CPU's record found, with that CPU's TSC at the same moment.
struct ClockSample {
    u64 tsc = 0;
    u64 tsc_timestamp = 0;
    u64 system_time_ns = 0;
    u32 tsc_to_system_mul = 0;
    s8 tsc_shift = 0;
    u8 flags = 0;
    bool known = false;  // some look has found a whole record, so the fields mean something
    bool torn = false;   // this look did not; the fields are those of an earlier look

    // The host wrote both in the same update, possibly to the records of different CPUs.
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

    // The time in ns that the record gives for `at_tsc`, which must not be before tsc_timestamp.
    // The shift must be sane.
    constexpr u64 ns_at(u64 at_tsc) const {
        return system_time_ns +
               scale_tsc_delta(at_tsc - tsc_timestamp, tsc_to_system_mul, tsc_shift);
    }
};

// Looks at `record`. Runs on the CPU whose record it is, with interrupts off. If the host has never
// written the record, or it is torn, the fields stay as they were `before`.
template <TscMachine Machine>
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

// By how many ns the clocks of two CPUs differ at the moment of `other`, the earlier one of two
// looks. 0 if that cannot be told, or if one of the records does not carry the promise.
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

// What compare() has found.
class Disruptions {
public:
    constexpr void add(EventKind kind, s64 value) { found_[count_++] = {kind, value}; }
    constexpr const Disruption* begin() const { return found_.data(); }
    constexpr const Disruption* end() const { return found_.data() + count_; }
    constexpr u32 count() const { return count_; }

private:
    // compare() finds at most 4 at once: a bad shift or a TSC that is behind or went back excludes
    // that there is a step as well.
    std::array<Disruption, 8> found_{};
    u32 count_ = 0;
};

namespace disruption {

// The new rate divided by the old one, minus 1, in parts per billion. Saturates 10^9 below the
// largest s64; is the largest s64 if the old rate is 0.
static constexpr s64 rate_change_ppb(const ClockSample& before, const ClockSample& now) {
    constexpr u64 kBillion = 1'000'000'000;
    constexpr s64 kMost = std::numeric_limits<s64>::max();
    if (before.tsc_to_system_mul == 0) return kMost;
    // A rate is mul * 2^shift. Subtracting the smaller shift from both makes one of them 0.
    const int smaller = before.tsc_shift < now.tsc_shift ? before.tsc_shift : now.tsc_shift;
    const int before_shift = before.tsc_shift - smaller;
    const int now_shift = now.tsc_shift - smaller;
    // The shifts differ by 62 at most, so the numerator is below 2^32 * 2^30 * 2^62 < 2^128.
    const u128 numerator = static_cast<u128>(now.tsc_to_system_mul) * kBillion << now_shift;
    const u128 denominator = static_cast<u128>(before.tsc_to_system_mul) << before_shift;
    const u64 ceiling = static_cast<u64>(kMost);
    // A 128-bit division is a call of libgcc, which the kernel does not have. Both numbers are
    // shifted right until the divisor has 32 bits, which costs less than 1 part in 2^31.
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

// By how many ns the new record is ahead of the old one at the moment when it took over. The host's
// timestamp names that moment. But the old record was still in force at the look `before`, so the
// moment is no earlier than that look.
static constexpr s64 discontinuity_ns(const ClockSample& before, const ClockSample& now) {
    const u64 at_tsc = now.tsc_timestamp > before.tsc ? now.tsc_timestamp : before.tsc;
    return static_cast<s64>(now.ns_at(at_tsc) - before.ns_at(at_tsc));
}

// The largest step in ns that an undisturbed clock may show.
static constexpr u64 tolerance_ns(const ClockSample& before, const ClockSample& now, bool stable) {
    if (stable) return kStableRoundingNs;
    const u64 elapsed_ns = now.ns_at(now.tsc) - now.system_time_ns;
    const u64 since_ns = before.ns_at(now.tsc) - before.system_time_ns;
    const u64 longer_ns = elapsed_ns > since_ns ? elapsed_ns : since_ns;
    return kUnstableNoiseNs + longer_ns / 1'000'000 * kUnstablePerMillion;
}

// Finds a jump, a pause, both or nothing.
static constexpr void find_step(const ClockSample& before, const ClockSample& now, bool stable,
                                Disruptions& found) {
    const s64 step_ns = discontinuity_ns(before, now);
    const u64 size_ns =
        step_ns < 0 ? u64{0} - static_cast<u64>(step_ns) : static_cast<u64>(step_ns);
    const bool beyond = size_ns > tolerance_ns(before, now, stable);
    // A pause: either the host says so, or it looks like one. It does if the clock is behind the
    // extrapolation, but its update is not behind the time that the last look saw. A record that
    // was set back in place is behind that.
    const bool told = (now.flags & ~before.flags & kPvclockGuestStopped) != 0;
    const bool stood_still =
        step_ns < 0 && size_ns >= kPauseMinNs && now.system_time_ns >= before.ns_at(before.tsc);
    if (beyond && step_ns > 0) found.add(EventKind::kJumpForward, step_ns);
    if (beyond && step_ns < 0 && !told && !stood_still)
        found.add(EventKind::kJumpBackward, static_cast<s64>(size_ns));
    if (told || stood_still)
        found.add(EventKind::kPause, step_ns < 0 ? static_cast<s64>(size_ns) : 0);
}

// The TSC went back, so it cannot say how much time has passed. But a clock that shows less than
// before has gone back in any case.
static constexpr void find_fall(const ClockSample& before, const ClockSample& now,
                                Disruptions& found) {
    const u64 before_ns = before.ns_at(before.tsc);
    const u64 now_ns = now.ns_at(now.tsc);
    if (now_ns < before_ns)
        found.add(EventKind::kJumpBackward, static_cast<s64>(before_ns - now_ns));
}

}  // namespace disruption

// What has happened between two looks at the same CPU's record. `stable_offered`: CPUID offers
// KVM_FEATURE_CLOCKSOURCE_STABLE_BIT, so the stable flag means something. Any context.
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
