// SPDX-License-Identifier: GPL-2.0-only
//
// The read callbacks of struct clocksource. They run in any context, NMI included, possibly with
// RCU not watching. So nothing here may be traced, take a lock or write to the log, and the whole
// file is compiled without ftrace (Kbuild).

#include "clock/clock_read.hh"

#include "boundary.h"
#include "x86.hh"

static_assert(kvmpv::kNumClockCounters == KVMPV_NUM_CLOCK_COUNTERS);
static_assert(sizeof(kvmpv_no_clock_record) == sizeof(kvmpv::PvclockVcpuTimeInfo));

namespace kvmpv::clock_read {

constinit Setup setup{};
constinit MonotonicGuard guard;

namespace {

enum class TscRead { kLfence, kRdtscp };

// The guest that we run in. Stateless; every member is an instruction or two.
template <TscRead kTscRead>
struct LiveMachine {
    // Every field is read between two checks of its record's version (pvclock.hh).
    template <class T>
    [[gnu::always_inline]] static T load(const T& shared) {
        return x86::load_checked_later(shared);
    }
    [[gnu::always_inline]] static void barrier() { x86::barrier(); }

    [[gnu::always_inline]] static const PvclockVcpuTimeInfo* this_cpu_record() {
        return record_here();
    }
    [[gnu::always_inline]] static bool is_this_cpu_record(const PvclockVcpuTimeInfo* record) {
        return x86::this_cpu_equals<&kvmpv_cpu.clock_record>(reinterpret_cast<u64>(record));
    }
    [[gnu::always_inline]] static ThreadHere thread_here() {
        const void* const thread = x86::this_cpu_load<&KVMPV_CURRENT_TASK>();
        return {thread, x86::involuntary_switches(thread)};
    }
    [[gnu::always_inline]] static bool is_still_here(const ThreadHere& then) {
        return x86::involuntary_switches_equal(then.thread, then.switches);
    }
    static const PvclockVcpuTimeInfo* fallback_record() { return setup.fallback_record; }
    static bool stable_offered() { return setup.stable_offered; }
    static u64 latest_ns() {
        return latest_ns_at(*x86::this_cpu_load<&kvmpv_cpu.self>(), x86::rdtsc());
    }

    [[gnu::always_inline]] static u64 ordered_tsc() {
        if constexpr (kTscRead == TscRead::kLfence)
            return x86::lfence_rdtsc();
        else
            return x86::rdtscp();
    }

    static u64 irq_save() { return x86::irq_save(); }
    static void irq_restore(u64 saved) { x86::irq_restore(saved); }

    static void count(ClockCounter counter) {
        switch (counter) {
            case ClockCounter::kTorn: return increment<ClockCounter::kTorn>();
            case ClockCounter::kBadShift: return increment<ClockCounter::kBadShift>();
            case ClockCounter::kNotReady: return increment<ClockCounter::kNotReady>();
            case ClockCounter::kTscBehind: return increment<ClockCounter::kTscBehind>();
            case ClockCounter::kHeldBack: return increment<ClockCounter::kHeldBack>();
            case ClockCounter::kTooFarAhead: return increment<ClockCounter::kTooFarAhead>();
            case ClockCounter::kNumCounters: return;
        }
    }

    // The thread may be moved to another CPU here. Then it raises the maximum of the CPU that it
    // was on.
    static void held_back(u64 ns) {
        u64& max_ns = x86::this_cpu_load<&kvmpv_cpu.self>()->clock_held_back_max_ns;
        u64 old_ns = x86::load(max_ns);
        while (ns > old_ns && !__atomic_compare_exchange_n(&max_ns, &old_ns, ns, false,
                                                           __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        }
    }

private:
    template <ClockCounter kCounter>
    static void increment() {
        x86::this_cpu_increment<&kvmpv_cpu.clock_count[static_cast<unsigned>(kCounter)]>();
    }
};

// Reads another CPU's record. Does not count what is wrong with it: that is counted where the
// record is used.
template <TscRead kTscRead>
struct SeedMachine : LiveMachine<kTscRead> {
    static void count(ClockCounter) {}
};

// The guard was last raised to what the stable path shows no longer ago than this. If a record says
// more, it is out of date, because its vCPU has been halted since the host changed its clock.
constexpr u64 kMaxSeedNs = kMaxAheadNs;

// The other CPUs' stable reads bypass the guard. So the guard's last value is up to a second old
// when this CPU's record fails, and without this time would go back by as much.
template <TscRead kTscRead>
void seed_guard() {
    SeedMachine<kTscRead> machine;
    for (const PvclockVcpuTimeInfo* record : {setup.fallback_record, setup.second_record}) {
        if (record == machine.this_cpu_record() || !record_is_ready(machine, *record)) continue;
        if (!(machine.load(record->flags) & kPvclockTscStable)) continue;
        const std::optional<u64> now_ns = read_record(machine, *record);
        if (now_ns && *now_ns - guard.last_ns() < kMaxSeedNs) guard.raise(*now_ns);
    }
}

// Out of line and cold, so that the fast path uses no register that it would have to save, and fits
// into two cache lines.
template <TscRead kTscRead>
[[gnu::noinline, gnu::cold]] u64 read_cold() {
    LiveMachine<kTscRead> machine;
    u64 now_ns;
    if (read_stable_again(machine, now_ns)) return now_ns;
    seed_guard<kTscRead>();
    return read_guarded_again(machine, guard);
}

template <TscRead kTscRead>
[[gnu::always_inline]] inline u64 read_hot() {
    LiveMachine<kTscRead> machine;
    u64 now_ns;
    if (read_stable_once(machine, now_ns)) [[likely]]
        return now_ns;
    return read_cold<kTscRead>();
}

template <TscRead kTscRead>
[[gnu::noinline, gnu::cold]] u64 read_guarded_cold() {
    LiveMachine<kTscRead> machine;
    return read_guarded_again(machine, guard);
}

template <TscRead kTscRead>
[[gnu::noinline, gnu::cold]] u64 advance_cold(u64 now_ns) {
    LiveMachine<kTscRead> machine;
    return advance_or_read_again(machine, guard, now_ns);
}

// read_guarded() with the rare cases out of line.
template <TscRead kTscRead>
[[gnu::always_inline]] inline u64 read_guarded_hot() {
    LiveMachine<kTscRead> machine;
    u64 now_ns;
    if (!read_here_once(machine, now_ns)) [[unlikely]]
        return read_guarded_cold<kTscRead>();
    if (guard.advance_at_once(now_ns)) [[likely]]
        return now_ns;
    return advance_cold<kTscRead>(now_ns);
}

}  // namespace

void raise_guard(u64 now_ns) {
    LiveMachine<TscRead::kLfence> machine;
    guard.raise_believable(machine, now_ns);
}

}  // namespace kvmpv::clock_read

using kvmpv::clock_read::TscRead;

extern "C" u64 kvmpv_clock_read_stable_lfence(clocksource*) {
    return kvmpv::clock_read::read_hot<TscRead::kLfence>();
}

extern "C" u64 kvmpv_clock_read_stable_rdtscp(clocksource*) {
    return kvmpv::clock_read::read_hot<TscRead::kRdtscp>();
}

extern "C" u64 kvmpv_clock_read_guarded_lfence(clocksource*) {
    return kvmpv::clock_read::read_guarded_hot<TscRead::kLfence>();
}

extern "C" u64 kvmpv_clock_read_guarded_rdtscp(clocksource*) {
    return kvmpv::clock_read::read_guarded_hot<TscRead::kRdtscp>();
}
