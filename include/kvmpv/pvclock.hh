// SPDX-License-Identifier: GPL-2.0-only
//
// From the record that the host keeps for a vCPU to nanoseconds: scaling, the two read paths, and
// the guard that keeps time from going back. Source: msr.rst, MSR_KVM_SYSTEM_TIME_NEW.
//
// A Machine supplies what is not arithmetic. The live one is src/clock_read.cc's, the scripted one
// is kunit/scripted_host.hh's. Beside load() and barrier() of version_read.hh it has:
//     const PvclockVcpuTimeInfo* this_cpu_record() this CPU's record; never null: a CPU without one
//                                                 has a page of zeros
//     const PvclockVcpuTimeInfo* fallback_record() a ready CPU's, for a CPU that has none yet
//     bool is_this_cpu_record(record)             this_cpu_record() is `record`, here and now
//     u64 ordered_tsc()                           the TSC, not read before earlier loads are done
//     ThreadHere thread_here()                    the thread that runs here, and how often the
//     kernel has
//                                                 switched away from it while it was running
//     bool is_still_here(thread)                  the kernel has not done so since
//     auto irq_save() / irq_restore(saved)        no interrupt, hence no migration, in between
//     void count(ClockCounter)                    this CPU's counter, plus one
//     void held_back(u64 ns)                      a step back of that size was not let through
//     u64 latest_ns()                             the latest that this CPU's clock can show by now,
//     by
//                                                 its TSC and what it showed before. Grows with
//                                                 the TSC. Interrupts off
//     bool stable_offered() const                 CPUID offers KVM_FEATURE_CLOCKSOURCE_STABLE_BIT

#pragma once

#include "kvmpv/abi.hh"
#include "kvmpv/version_read.hh"

namespace kvmpv {

// A shift beyond this cannot come from a host that follows the document: it would take every bit
// of a 32-bit quantity away.
inline constexpr unsigned kMaxTscShift = 31;

// What went wrong in a read and was answered without believing it.
enum class ClockCounter : u8 {
    kTorn,         // no consistent look within kVersionReadAttempts
    kBadShift,     // |tsc_shift| > kMaxTscShift
    kNotReady,     // the host has never written this record
    kTscBehind,    // tsc_timestamp is ahead of this CPU's TSC
    kHeldBack,     // a value below an earlier one, held at the earlier one
    kTooFarAhead,  // a value that the time since cannot have brought, not shown
    kNumCounters,
};
inline constexpr unsigned kNumClockCounters = static_cast<unsigned>(ClockCounter::kNumCounters);

// The document's formula: shift, multiply, keep the bits from 32 up. For |tsc_shift| <= 31. Where a
// left shift would lose bits the result is the largest number instead of a wrapped one.
constexpr u64 scale_tsc_delta(u64 tsc_delta, u32 tsc_to_system_mul, s8 tsc_shift) {
    if (tsc_shift < 0) {
        tsc_delta >>= -tsc_shift;
    } else if (tsc_shift > 0) {
        if (tsc_delta >> (64 - tsc_shift)) return std::numeric_limits<u64>::max();
        tsc_delta <<= tsc_shift;
    }
    return static_cast<u64>((static_cast<u128>(tsc_delta) * tsc_to_system_mul) >> 32);
}

constexpr bool tsc_shift_is_sane(s8 tsc_shift) {
    return tsc_shift >= -static_cast<int>(kMaxTscShift) &&
           tsc_shift <= static_cast<int>(kMaxTscShift);
}

// A thread at one moment, for a later one.
struct ThreadHere {
    const void* thread;
    u64 switches;
};

// ---- One attempt, without a judgement --------------------------------------------------------

// What a record says of this moment of the TSC, or false if that is no number to be believed. Made
// straight from the record, so that no field waits in a register: it means something only if the
// version is found unchanged behind it, and so does the refusal.
template <class Machine>
[[nodiscard, gnu::always_inline]] inline bool time_at(Machine& machine,
                                                      const PvclockVcpuTimeInfo& record, u64 tsc,
                                                      u64& sum_ns) {
    u64 delta = tsc - machine.load(record.tsc_timestamp);
    if (static_cast<s64>(delta) < 0) [[unlikely]]
        return false;
    // A TSC above 1 GHz, hence nearly every one, has a shift of 0 or below. One unsigned comparison
    // tells these from positive and from impossible shifts.
    const s8 tsc_shift = machine.load(record.tsc_shift);
    const u8 right_shift = static_cast<u8>(-tsc_shift);
    if (right_shift <= kMaxTscShift) [[likely]] {
        delta >>= right_shift;
    } else {
        if (!tsc_shift_is_sane(tsc_shift) || delta >> (64 - tsc_shift)) return false;
        delta <<= tsc_shift;
    }
    const u128 product = static_cast<u128>(machine.load(record.tsc_to_system_mul)) * delta;
    return !__builtin_add_overflow(static_cast<u64>(product >> 32),
                                   machine.load(record.system_time), &sum_ns);
}

// ---- The fast path ------------------------------------------------------------------------

// Reads the clock without a lock, a barrier instruction or a preemption count; for guests whose
// host promises that all records agree (CPUID bit 24 offered, checked by the caller once).
// Any context, NMI included.
//
// Preemption stays as it is, so the thread may move to another CPU at any point. The order of the
// five steps is the proof that the record used was current all the same:
//   - at (4) we run on the CPU whose record we took at (1), so at that moment it is the record of a
//     running vCPU, which the host has brought up to date before it let the vCPU run;
//   - an unchanged even version at (5) says that these contents were there since (2), (4) included.
// Comparing the version before the pointer would leave a hole: away from A, the host updates the
// clock while A is halted (its record is now stale, its version old), the compare succeeds, back to
// A. The TSC may come from another CPU than A: under the promise they agree.

// One attempt, in as few instructions as the proof allows. False decides nothing: it may have been
// a look at a torn record, and read_stable_again() has to find out.
template <class Machine>
[[nodiscard, gnu::always_inline]] inline bool read_stable_once(Machine& machine, u64& now_ns) {
    const PvclockVcpuTimeInfo& record = *machine.this_cpu_record();  // (1)
    const u32 version = version_begin(machine, record.version);      // (2)
    const u64 tsc = machine.ordered_tsc();                           // (3)
    u64 sum_ns;
    if (!time_at(machine, record, tsc, sum_ns)) [[unlikely]]
        return false;
    if (!(machine.load(record.flags) & kPvclockTscStable)) [[unlikely]]
        return false;
    machine.barrier();
    if (!machine.is_this_cpu_record(&record)) [[unlikely]]  // (4)
        return false;
    if (!version_unchanged(machine, record.version, version)) [[unlikely]]  // (5)
        return false;
    now_ns = sum_ns;
    return true;
}

// The same after a first attempt, as often as the bound allows, and with a judgement on the record.
// False: it does not carry the promise or cannot be used; read_guarded() has to answer.
template <class Machine>
[[nodiscard]] bool read_stable_again(Machine& machine, u64& now_ns) {
    for (unsigned attempt = 1; attempt < kVersionReadAttempts; ++attempt) {
        const PvclockVcpuTimeInfo& record = *machine.this_cpu_record();  // (1)
        const u32 version = version_begin(machine, record.version);      // (2)
        const u64 tsc = machine.ordered_tsc();                           // (3)
        const u64 tsc_timestamp = machine.load(record.tsc_timestamp);
        const s8 tsc_shift = machine.load(record.tsc_shift);
        const u32 tsc_to_system_mul = machine.load(record.tsc_to_system_mul);
        const u64 system_time_ns = machine.load(record.system_time);
        const u8 flags = machine.load(record.flags);
        machine.barrier();
        if (!machine.is_this_cpu_record(&record)) continue;                  // (4)
        if (!version_unchanged(machine, record.version, version)) continue;  // (5)

        if (!(flags & kPvclockTscStable) || !tsc_shift_is_sane(tsc_shift)) return false;
        const u64 delta = tsc - tsc_timestamp;
        if (static_cast<s64>(delta) < 0) return false;
        // Beyond 64 bits: the guarded path answers such a host, and does not wrap.
        return !__builtin_add_overflow(
            system_time_ns, scale_tsc_delta(delta, tsc_to_system_mul, tsc_shift), &now_ns);
    }
    return false;
}

template <class Machine>
[[nodiscard]] bool read_stable(Machine& machine, u64& now_ns) {
    return read_stable_once(machine, now_ns) || read_stable_again(machine, now_ns);
}

// ---- The guarded path ---------------------------------------------------------------------

// So much may the clock be ahead of time without a reason: CPUs' records disagree by less on any
// host that works, and a look at the time is needed no oftener than this.
inline constexpr u64 kMaxAheadNs = 2'000'000'000;

constexpr u64 saturating_add(u64 a, u64 b) {
    const u64 sum = a + b;
    return sum < a ? std::numeric_limits<u64>::max() : sum;
}

// The largest time handed out so far, on any CPU. A record that says too much once would stop the
// clock for as long as that is ahead: so nothing beyond a horizon is handed out, and time alone
// moves the horizon on. All on one cache line of its own: every guarded read on every CPU touches
// it.
class alignas(64) MonotonicGuard {
public:
    // The given time becomes the largest one handed out. False, with nothing done or counted,
    // unless it is later than that, within the horizon, and no other CPU hands out anything
    // meanwhile. NMI-safe, lock-free.
    [[nodiscard, gnu::always_inline]] bool advance_at_once(u64 now_ns) {
        // Atomic all the same, and an operand of the comparison.
        if (now_ns > *const_cast<const volatile u64*>(&horizon_ns_)) [[unlikely]]
            return false;
        u64 last_ns = __atomic_load_n(&last_ns_, __ATOMIC_RELAXED);
        if (now_ns <= last_ns) [[unlikely]]
            return false;
        return __atomic_compare_exchange_n(&last_ns_, &last_ns, now_ns, false, __ATOMIC_RELAXED,
                                           __ATOMIC_RELAXED);
    }

    // The same whatever other CPUs do; where they have handed out a later time, `now_ns` becomes
    // that. False if it lies beyond the horizon, or if the other is later by more than `late_ns`.
    template <class Machine>
    [[nodiscard]] bool advance_unless_odd(Machine& machine, u64& now_ns, u64 late_ns) {
        if (now_ns > __atomic_load_n(&horizon_ns_, __ATOMIC_RELAXED)) return false;
        return advance_unless_late(machine, now_ns, late_ns);
    }

    // What is handed out for a record that says `now_ns`.
    template <class Machine>
    u64 advance(Machine& machine, u64 now_ns) {
        now_ns = believable_ns(machine, now_ns);
        static_cast<void>(advance_unless_late(machine, now_ns, std::numeric_limits<u64>::max()));
        return now_ns;
    }

    u64 last_ns() const { return __atomic_load_n(&last_ns_, __ATOMIC_RELAXED); }

    // From now on nothing below `now_ns` is handed out: what has been handed out past the guard.
    void raise(u64 now_ns) { raise(last_ns_, now_ns); }
    template <class Machine>
    void raise_believable(Machine& machine, u64 now_ns) {
        raise(believable_ns(machine, now_ns));
    }

    // Can a CPU's clock show `now_ns`, where the time that has passed brings it to `latest_ns`
    // (latest_ns() of a Machine)? While nothing has been shown everything can be.
    bool can_be(u64 now_ns, u64 latest_ns) const {
        const u64 horizon_ns = __atomic_load_n(&horizon_ns_, __ATOMIC_RELAXED);
        return now_ns <= horizon_ns || horizon_ns == 0 ||
               now_ns <= saturating_add(latest_ns, kMaxAheadNs);
    }

    // Time has come to `now_ns`.
    void move_horizon(u64 now_ns) { raise(horizon_ns_, saturating_add(now_ns, kMaxAheadNs)); }

    // How much time has passed is not known: what a record says first is believed.
    void forget_horizon() { __atomic_store_n(&horizon_ns_, u64{0}, __ATOMIC_RELAXED); }

    // The clock begins anew; only while nobody reads it.
    void restart() {
        __atomic_store_n(&last_ns_, u64{0}, __ATOMIC_RELAXED);
        forget_horizon();
    }

private:
    template <class Machine>
    [[nodiscard]] bool advance_unless_late(Machine& machine, u64& now_ns, u64 late_ns) {
        u64 last_ns = __atomic_load_n(&last_ns_, __ATOMIC_RELAXED);
        while (now_ns > last_ns) {
            // On failure last_ns becomes what another CPU has just handed out.
            if (__atomic_compare_exchange_n(&last_ns_, &last_ns, now_ns, false, __ATOMIC_RELAXED,
                                            __ATOMIC_RELAXED))
                return true;
        }
        if (now_ns < last_ns) {
            if (last_ns - now_ns > late_ns) return false;
            machine.count(ClockCounter::kHeldBack);
            machine.held_back(last_ns - now_ns);
        }
        now_ns = last_ns;
        return true;
    }

    // What of `now_ns` can be true. The horizon moves no further than time does, so that a clock
    // that is ahead of it does not come further ahead with each look.
    template <class Machine>
    u64 believable_ns(Machine& machine, u64 now_ns) {
        const u64 horizon_ns = __atomic_load_n(&horizon_ns_, __ATOMIC_RELAXED);
        if (now_ns <= horizon_ns) return now_ns;
        const u64 latest_ns = horizon_ns ? machine.latest_ns() : now_ns;
        if (can_be(now_ns, latest_ns)) {
            move_horizon(now_ns < latest_ns ? now_ns : latest_ns);
            return now_ns;
        }
        machine.count(ClockCounter::kTooFarAhead);
        return latest_ns > last_ns() ? latest_ns : last_ns();
    }

    static void raise(u64& shared_ns, u64 ns) {
        u64 old_ns = __atomic_load_n(&shared_ns, __ATOMIC_RELAXED);
        while (ns > old_ns && !__atomic_compare_exchange_n(&shared_ns, &old_ns, ns, false,
                                                           __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        }
    }

    u64 last_ns_ = 0;
    u64 horizon_ns_ = 0;
};

// One record, read with interrupts off so that the TSC is this CPU's. Nothing if the record cannot
// be believed; what was wrong with it is counted.
template <class Machine>
std::optional<u64> read_record(Machine& machine, const PvclockVcpuTimeInfo& record) {
    u64 tsc, tsc_timestamp, system_time_ns;
    u32 tsc_to_system_mul;
    s8 tsc_shift;
    const auto take = [&]() __attribute__((always_inline)) {
        tsc = machine.ordered_tsc();
        tsc_timestamp = machine.load(record.tsc_timestamp);
        system_time_ns = machine.load(record.system_time);
        tsc_to_system_mul = machine.load(record.tsc_to_system_mul);
        tsc_shift = machine.load(record.tsc_shift);
    };
    if (!version_read(machine, record.version, take)) {
        machine.count(ClockCounter::kTorn);
        return std::nullopt;
    }
    if (!tsc_shift_is_sane(tsc_shift)) {
        machine.count(ClockCounter::kBadShift);
        return std::nullopt;
    }
    if (static_cast<s64>(tsc - tsc_timestamp) < 0) {
        // The host's own time of the update is the best answer that is not in the past of it.
        machine.count(ClockCounter::kTscBehind);
        return system_time_ns;
    }
    const u64 elapsed_ns = scale_tsc_delta(tsc - tsc_timestamp, tsc_to_system_mul, tsc_shift);
    const u64 now_ns = system_time_ns + elapsed_ns;
    return now_ns < elapsed_ns ? std::numeric_limits<u64>::max() : now_ns;
}

// The host has written this record: it is registered, and the CPU has one. The version alone does
// not tell: after 2^31 updates it is 0 again.
template <class Machine>
bool record_is_ready(Machine& machine, const PvclockVcpuTimeInfo& record) {
    return machine.load(record.version) != 0 || machine.load(record.tsc_to_system_mul) != 0;
}

// This CPU's record, else, on a host that promises that all agree, a ready CPU's; else nothing.
template <class Machine>
std::optional<u64> read_this_cpu(Machine& machine) {
    const PvclockVcpuTimeInfo& record = *machine.this_cpu_record();
    if (record_is_ready(machine, record)) return read_record(machine, record);

    machine.count(ClockCounter::kNotReady);
    if (!machine.stable_offered()) return std::nullopt;
    const PvclockVcpuTimeInfo& other = *machine.fallback_record();
    if (!record_is_ready(machine, other) || !(machine.load(other.flags) & kPvclockTscStable))
        return std::nullopt;
    return read_record(machine, other);
}

// Never goes back, on any CPU, and never comes further ahead of time than kMaxAheadNs, whatever the
// host writes; never loops beyond a bound. Where there is nothing to believe, time stands still at
// the largest value handed out. Any context, NMI included.
//
// One attempt comes first, on this CPU's own record. False decides nothing: read_guarded_again()
// has to. Version 0 was probably never written; after 2^31 updates it is not, and the careful path
// knows.

// Behind by more: probably interrupted between the TSC and the guard. CPUs that read at the same
// time differ by less.
inline constexpr u64 kInterruptedNs = 1'000;

// Nothing is switched off. The thread may move at any point, and the order of the steps is the
// proof that the TSC is of the CPU whose record is used:
//   - a thread gets to another CPU only after the kernel has switched away from it on the one where
//     it ran, and the kernel counts that. So where the count at (5) is that of (1), everything from
//     (1) to (5) ran on one CPU: the record of (2) is its own, the TSC of (4) too;
//   - that CPU ran at (4), so the host had brought its record up to date;
//   - an unchanged even version at (6) says that what was read in between was there since (3), that
//     moment included.
// Comparing this CPU's record pointer again at (5) would leave a hole: away behind (2), TSC on the
// other CPU, back before (5). The CPU number that RDTSCP reads with the TSC cannot be believed: a
// guest that is a KVM host itself keeps its guests' TSC_AUX while the kernel runs.
template <class Machine>
[[nodiscard, gnu::always_inline]] inline bool read_here_once(Machine& machine, u64& now_ns) {
    const ThreadHere thread = machine.thread_here();                 // (1)
    const PvclockVcpuTimeInfo& record = *machine.this_cpu_record();  // (2)
    const u32 version = machine.load(record.version) & ~u32{1};      // (3)
    if (version == 0) [[unlikely]]
        return false;
    machine.barrier();
    const u64 tsc = machine.ordered_tsc();            // (4)
    if (!machine.is_still_here(thread)) [[unlikely]]  // (5)
        return false;
    if (!time_at(machine, record, tsc, now_ns)) [[unlikely]]
        return false;
    return version_unchanged(machine, record.version, version);  // (6)
}

// The careful one. Interrupts are off rather than preemption: it needs no symbol of the kernel, and
// keeps an interrupt from ageing the value between the TSC and the guard.
template <class Machine>
u64 read_guarded_again(Machine& machine, MonotonicGuard& guard) {
    const auto irq_state = machine.irq_save();
    const std::optional<u64> now_ns = read_this_cpu(machine);
    const u64 answer_ns = now_ns ? guard.advance(machine, *now_ns) : guard.last_ns();
    machine.irq_restore(irq_state);
    return answer_ns;
}

// For what was read once and is not the latest time, or not within the horizon.
template <class Machine>
u64 advance_or_read_again(Machine& machine, MonotonicGuard& guard, u64 now_ns) {
    if (guard.advance_unless_odd(machine, now_ns, kInterruptedNs)) return now_ns;
    return read_guarded_again(machine, guard);
}

template <class Machine>
u64 read_guarded(Machine& machine, MonotonicGuard& guard) {
    u64 now_ns;
    if (!read_here_once(machine, now_ns)) return read_guarded_again(machine, guard);
    if (guard.advance_at_once(now_ns)) return now_ns;
    return advance_or_read_again(machine, guard, now_ns);
}

}  // namespace kvmpv
