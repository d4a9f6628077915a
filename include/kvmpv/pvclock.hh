// SPDX-License-Identifier: GPL-2.0-only
//
// Turns the host's record for a vCPU into nanoseconds: the scaling, the two ways to read the clock,
// and the guard that keeps time from going back. Source: msr.rst, MSR_KVM_SYSTEM_TIME_NEW.
//
// What is not arithmetic comes from a machine. The concepts below say what it must offer; the
// module has a live one, kunit/scripted_host.hh a scripted one.

#pragma once

#include "kvmpv/abi.hh"
#include "kvmpv/version_read.hh"

namespace kvmpv {

// No host that follows the document writes a larger |tsc_shift|: it would shift every bit of a
// 32-bit number out.
inline constexpr unsigned kMaxTscShift = 31;

// Why a read did not return what the record says.
enum class ClockCounter : u8 {
    kTorn,         // the record was not whole within kVersionReadAttempts
    kBadShift,     // |tsc_shift| > kMaxTscShift
    kNotReady,     // the host has never written this record
    kTscBehind,    // tsc_timestamp is ahead of this CPU's TSC
    kHeldBack,     // below a time handed out before; that one was handed out again
    kTooFarAhead,  // further ahead than the elapsed time allows; not handed out
    kNumCounters,
};
inline constexpr unsigned kNumClockCounters = static_cast<unsigned>(ClockCounter::kNumCounters);

// TSC ticks to nanoseconds, by the document's formula: shift, multiply, drop the lower 32 bits.
// |tsc_shift| must not exceed kMaxTscShift. If a left shift would lose bits the result is the
// largest u64; it never wraps. Any context.
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

// The running thread at one moment, to compare with a later one.
struct ThreadHere {
    const void* thread;
    u64 switches;  // how often the kernel has switched away from it while it was running
};

// ---- What a machine must offer ----------------------------------------------------------------

// Reads records, and this CPU's TSC.
template <class T>
concept TscMachine = VersionMachine<T> && requires(T& machine) {
    // This CPU's TSC, in ticks. Not read before all earlier loads are done.
    { machine.ordered_tsc() } -> std::same_as<u64>;
};

// Counts what went wrong.
template <class T>
concept CounterMachine = requires(T& machine, ClockCounter counter) {
    machine.count(counter);  // this CPU's counter, plus one
};

// Knows the record of the CPU that it runs on.
template <class T>
concept RecordMachine = TscMachine<T> && requires(T& machine, const PvclockVcpuTimeInfo* record) {
    // This CPU's record. Never null: a CPU without one has a record of zeros.
    { machine.this_cpu_record() } -> std::same_as<const PvclockVcpuTimeInfo*>;
    // `record` is that of the CPU that runs this, here and now.
    { machine.is_this_cpu_record(record) } -> std::same_as<bool>;
};

// What the guard asks while it hands out a time.
template <class T>
concept GuardMachine = CounterMachine<T> && requires(T& machine, u64 ns) {
    // The guard has held a read back by `ns`.
    machine.held_back(ns);
    // The latest time, in ns, that this CPU's clock can show by now, by its TSC and by what it
    // showed before. Grows with the TSC. Called with interrupts off.
    { machine.latest_ns() } -> std::same_as<u64>;
};

// All that the guarded path needs.
template <class T>
concept GuardedMachine = RecordMachine<T> && GuardMachine<T> &&
    requires(T& machine, const ThreadHere& then) {
    // The thread that runs here, and its count of switches.
    { machine.thread_here() } -> std::same_as<ThreadHere>;
    // The kernel has not switched away from the thread since `then`.
    { machine.is_still_here(then) } -> std::same_as<bool>;
    // Between these two no interrupt comes, so the thread stays on this CPU.
    machine.irq_restore(machine.irq_save());
    // The record of a CPU that is ready, for a CPU that has none yet. Never null.
    { machine.fallback_record() } -> std::same_as<const PvclockVcpuTimeInfo*>;
    // CPUID offers KVM_FEATURE_CLOCKSOURCE_STABLE_BIT.
    { machine.stable_offered() } -> std::same_as<bool>;
};

// ---- One attempt, without a judgement --------------------------------------------------------

// Computes the time in ns that the record gives for `tsc`. Returns false if it gives none that
// could be true: a timestamp ahead of the TSC, an impossible shift, a sum beyond 64 bits. It works
// straight on the record and keeps no copy of a field. So both answers mean something only if the
// caller finds the version unchanged afterwards.
template <VersionMachine Machine>
[[nodiscard, gnu::always_inline]] inline bool time_at(Machine& machine,
                                                      const PvclockVcpuTimeInfo& record, u64 tsc,
                                                      u64& sum_ns) {
    u64 delta = tsc - machine.load(record.tsc_timestamp);
    if (static_cast<s64>(delta) < 0) [[unlikely]]
        return false;
    // A TSC above 1 GHz, as nearly all are, has a shift of 0 or below. One unsigned comparison
    // tells these shifts from positive and from impossible ones.
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

// Reads the clock without a lock, an atomic instruction or a change of the preemption count. For
// guests whose host promises that all records agree. The caller has checked once that CPUID offers
// bit 24; bit 0 of the record's flags is checked at every read. Any context, NMI included; notrace.
//
// Preemption is left alone, so the thread may move to another CPU at any point. The order of the
// five steps proves that the record was current all the same:
//   - At (4) the thread runs on the CPU whose record it took at (1). At that moment this is the
//     record of a running vCPU, and the host brings a record up to date before it lets the vCPU
//     run.
//   - The version at (5) is even and the same as at (2). So the contents that were read were in the
//     record all the time from (2) to (5), and in particular at (4), when they were current.
// Comparing the version before the pointer would leave a hole. The thread leaves CPU A. While A is
// halted, the host changes the clock; A's record is now stale, but its version is still the old
// one. The version compares equal, the thread goes back to A, and the pointer compares equal, too.
// The TSC at (3) may be that of another CPU than A: under the promise the CPUs agree.

// One attempt, in as few instructions as the proof allows. False decides nothing: the record may
// have been torn. read_stable_again() finds out.
template <RecordMachine Machine>
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

// Further attempts after the first one, up to kVersionReadAttempts in all. The steps are the same,
// but the fields are copied, so that a whole record can be judged. False: the record does not carry
// the promise or cannot be used, and read_guarded() has to answer. Any context, NMI included.
template <RecordMachine Machine>
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
        // A sum beyond 64 bits is left to the guarded path, which saturates.
        return !__builtin_add_overflow(
            system_time_ns, scale_tsc_delta(delta, tsc_to_system_mul, tsc_shift), &now_ns);
    }
    return false;
}

template <RecordMachine Machine>
[[nodiscard]] bool read_stable(Machine& machine, u64& now_ns) {
    return read_stable_once(machine, now_ns) || read_stable_again(machine, now_ns);
}

// ---- The guarded path ---------------------------------------------------------------------

// How far the clock may be ahead of the elapsed time, in ns. On a host that works, the records of
// two CPUs differ by less. It also bounds how often the guard has to look at the elapsed time.
inline constexpr u64 kMaxAheadNs = 2'000'000'000;

constexpr u64 saturating_add(u64 a, u64 b) {
    const u64 sum = a + b;
    return sum < a ? std::numeric_limits<u64>::max() : sum;
}

// Remembers the largest time that any CPU has handed out, in ns, and hands out nothing below it. A
// record that is too far ahead just once would then stop the clock until time has caught up. So the
// guard hands out nothing beyond a horizon either, and only elapsed time moves the horizon on. Both
// numbers lie on a cache line of their own, because every guarded read on every CPU touches them.
// Lock-free; any context, NMI included.
class alignas(64) MonotonicGuard {
public:
    // Hands out `now_ns`, which becomes the largest time handed out. Returns false, and changes and
    // counts nothing, if it is not later than that, if it lies beyond the horizon, or if another
    // CPU hands out a time meanwhile.
    [[nodiscard, gnu::always_inline]] bool advance_at_once(u64 now_ns) {
        // Atomic like __atomic_load_n(), but the compiler may use it as an operand of the compare.
        if (now_ns > *const_cast<const volatile u64*>(&horizon_ns_)) [[unlikely]]
            return false;
        u64 last_ns = __atomic_load_n(&last_ns_, __ATOMIC_RELAXED);
        if (now_ns <= last_ns) [[unlikely]]
            return false;
        return __atomic_compare_exchange_n(&last_ns_, &last_ns, now_ns, false, __ATOMIC_RELAXED,
                                           __ATOMIC_RELAXED);
    }

    // Like advance_at_once(), but other CPUs may hand out times meanwhile. If they have handed out
    // a later one, `now_ns` becomes that. False, and nothing is changed or counted, if `now_ns`
    // lies beyond the horizon or if the other time is later by more than `late_ns`.
    template <GuardMachine Machine>
    [[nodiscard]] bool advance_unless_odd(Machine& machine, u64& now_ns, u64 late_ns) {
        if (now_ns > __atomic_load_n(&horizon_ns_, __ATOMIC_RELAXED)) return false;
        return advance_unless_late(machine, now_ns, late_ns);
    }

    // Hands out a time for a record that says `now_ns`, and returns it: not less than any time
    // handed out before, and no further ahead than the elapsed time allows. Interrupts off.
    template <GuardMachine Machine>
    u64 advance(Machine& machine, u64 now_ns) {
        now_ns = believable_ns(machine, now_ns);
        static_cast<void>(advance_unless_late(machine, now_ns, std::numeric_limits<u64>::max()));
        return now_ns;
    }

    u64 last_ns() const { return __atomic_load_n(&last_ns_, __ATOMIC_RELAXED); }

    // From now on the guard hands out nothing below `now_ns`, a time that was handed out without
    // it.
    void raise(u64 now_ns) { raise(last_ns_, now_ns); }
    // The same, as far as `now_ns` can be believed. Interrupts off.
    template <GuardMachine Machine>
    void raise_believable(Machine& machine, u64 now_ns) {
        raise(believable_ns(machine, now_ns));
    }

    // Can a CPU's clock show `now_ns` if the elapsed time brings it to `latest_ns` at most
    // (latest_ns() of a machine)? Without a horizon, at the start and after forget_horizon(), it
    // can show anything.
    bool can_be(u64 now_ns, u64 latest_ns) const {
        const u64 horizon_ns = __atomic_load_n(&horizon_ns_, __ATOMIC_RELAXED);
        return now_ns <= horizon_ns || horizon_ns == 0 ||
               now_ns <= saturating_add(latest_ns, kMaxAheadNs);
    }

    // The elapsed time has brought the clock to `now_ns`: the horizon lies kMaxAheadNs beyond it.
    void move_horizon(u64 now_ns) { raise(horizon_ns_, saturating_add(now_ns, kMaxAheadNs)); }

    // Nobody knows how much time has passed: whatever a record says next is believed.
    void forget_horizon() { __atomic_store_n(&horizon_ns_, u64{0}, __ATOMIC_RELAXED); }

    // The clock starts anew. Only while nobody reads it.
    void restart() {
        __atomic_store_n(&last_ns_, u64{0}, __ATOMIC_RELAXED);
        forget_horizon();
    }

private:
    template <GuardMachine Machine>
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

    // `now_ns` if it can be true, else the latest time that can be. The horizon moves no further
    // than the elapsed time does. Otherwise a clock that is ahead would get further ahead with each
    // look.
    template <GuardMachine Machine>
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

// Reads one record: the time in ns, or nothing if the record cannot be believed. Counts what was
// wrong with it. Interrupts off, so that the TSC is that of the CPU whose record it is.
template <class Machine>
requires TscMachine<Machine> && CounterMachine<Machine> std::optional<u64> read_record(
    Machine& machine, const PvclockVcpuTimeInfo& record) {
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
        // The time of the host's update is the best answer: any earlier one lies before the update.
        machine.count(ClockCounter::kTscBehind);
        return system_time_ns;
    }
    const u64 elapsed_ns = scale_tsc_delta(tsc - tsc_timestamp, tsc_to_system_mul, tsc_shift);
    const u64 now_ns = system_time_ns + elapsed_ns;
    return now_ns < elapsed_ns ? std::numeric_limits<u64>::max() : now_ns;
}

// True if the host has written this record, so it is registered and not the record of zeros that a
// CPU without one has. The version alone does not tell: after 2^31 updates it is 0 again.
template <VersionMachine Machine>
bool record_is_ready(Machine& machine, const PvclockVcpuTimeInfo& record) {
    return machine.load(record.version) != 0 || machine.load(record.tsc_to_system_mul) != 0;
}

// Reads this CPU's record. If the host has not written that yet, but promises that all records
// agree, reads the record of a CPU that is ready. Else nothing. Interrupts off.
template <GuardedMachine Machine>
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

// If a read is behind the guard by more ns than this, it was probably interrupted between the TSC
// and the guard. CPUs that read at the same time differ by less.
inline constexpr u64 kInterruptedNs = 1'000;

// One attempt on this CPU's own record. False decides nothing: read_guarded_again() has to answer.
// Any context, NMI included; notrace.
//
// Neither preemption nor interrupts are disabled, so the thread may move to another CPU at any
// point. The order of the steps proves that the TSC is that of the CPU whose record is used:
//   - A thread gets to another CPU only after the kernel has switched away from it on the CPU where
//     it ran, and the kernel counts these switches. So if the count at (5) is that of (1),
//     everything from (1) to (5) ran on one CPU. The record of (2) is that CPU's own, and the TSC
//     of (4) is, too.
//   - That CPU ran at (4), so the host had brought its record up to date.
//   - The version at (6) is even and the same as at (3). So what was read from the record was in it
//     all the time from (3) to (6), and in particular at (4).
// Comparing this CPU's record pointer again at (5) would leave a hole: the thread moves away after
// (2), reads the TSC of the other CPU, and is back before (5). The CPU number that RDTSCP returns
// with the TSC cannot be trusted: in a guest that is itself a KVM host, TSC_AUX keeps the value of
// that host's guests while the kernel runs.
template <GuardedMachine Machine>
[[nodiscard, gnu::always_inline]] inline bool read_here_once(Machine& machine, u64& now_ns) {
    const ThreadHere thread = machine.thread_here();                 // (1)
    const PvclockVcpuTimeInfo& record = *machine.this_cpu_record();  // (2)
    const u32 version = machine.load(record.version) & ~u32{1};      // (3)
    // The host has probably never written this record. read_guarded_again() tells such a record
    // from one whose version is 0 again after 2^31 updates.
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

// The careful way, with interrupts off. Disabling interrupts also disables preemption, needs no
// kernel symbol, and keeps an interrupt from making the value old between the TSC and the guard.
template <GuardedMachine Machine>
u64 read_guarded_again(Machine& machine, MonotonicGuard& guard) {
    const auto irq_state = machine.irq_save();
    const std::optional<u64> now_ns = read_this_cpu(machine);
    const u64 answer_ns = now_ns ? guard.advance(machine, *now_ns) : guard.last_ns();
    machine.irq_restore(irq_state);
    return answer_ns;
}

// After one read that the guard did not hand out at once: it was not the latest time, or it was
// beyond the horizon.
template <GuardedMachine Machine>
u64 advance_or_read_again(Machine& machine, MonotonicGuard& guard, u64 now_ns) {
    if (guard.advance_unless_odd(machine, now_ns, kInterruptedNs)) return now_ns;
    return read_guarded_again(machine, guard);
}

// Reads the clock in ns on any host, with or without the promise. Whatever the host writes, no CPU
// sees the clock go back, and the clock gets no further ahead of the elapsed time than kMaxAheadNs.
// No loop runs beyond a bound. If there is nothing to believe, time stands still at the largest
// time handed out. Any context, NMI included; notrace.
template <GuardedMachine Machine>
u64 read_guarded(Machine& machine, MonotonicGuard& guard) {
    u64 now_ns;
    if (!read_here_once(machine, now_ns)) return read_guarded_again(machine, guard);
    if (guard.advance_at_once(now_ns)) return now_ns;
    return advance_or_read_again(machine, guard, now_ns);
}

}  // namespace kvmpv
