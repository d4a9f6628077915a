// SPDX-License-Identifier: GPL-2.0-only
//
// Steal time that cannot lie: what the host says a vCPU has been kept from running, turned into a
// clock that never goes back and is never more than a tick ahead of time.
//
// The kernel subtracts what it was told before from what it is told now, without a sign. A record
// that goes back once, by a host's bug, a migration or a registration anew, becomes hundreds of
// years of steal; one that jumps ahead becomes a CPU that was stolen for longer than it exists. So
// it is not the record that is shown but the sum of what was added to it between any two looks, as
// far as that is possible.
//
// A Machine supplies what the hardware does, live or scripted:
//     T load(const T& shared), void barrier()      as for version_read()
//     void store(u64& shared, u64 value)           one untorn store
//     bool compare_exchange(u64& shared, u64& expected, u64 desired)   one locked instruction
//     void add(u64& shared, u64 value)             one instruction on memory, not locked
//     u64 tsc()
//     u64 elapsed_ns(u64 tsc_ticks)
//     u64 tick_ns()                                how often the kernel asks, in a busy CPU
//     u64 uptime_ns()                              how long the guest has been there
//     u64 accounted_ns(const StealClock& own)      what the kernel has accounted on that CPU
//     bool handover_in_progress()                  some of the kernel's callers ask its own clock
//     void stolen(StealClock& own, u64 ns)         so much has just been added
//     void stepped(StealClock& own, bool forward, u64 ns)   so much was not believed
//     void rebased(StealClock& own, u64 ns)        the total was set ahead by so much, modulo 2^64,
//                                                  without anything stolen

#pragma once

#include "kvmpv/abi.hh"
#include "kvmpv/version_read.hh"

namespace kvmpv {

// ---- TSC ticks in nanoseconds -----------------------------------------------------------------

// Exact to 1 part in 2^32 for a TSC above 1 MHz; saturates.
class TicksToNs {
public:
    constexpr TicksToNs() = default;
    // `tsc_khz` is not 0.
    explicit constexpr TicksToNs(u32 tsc_khz) : ns_by_2_32_((u64{1'000'000} << 32) / tsc_khz) {}

    constexpr u64 operator()(u64 ticks) const {
        const u128 ns = (u128{ticks} * ns_by_2_32_) >> 32;
        return ns >> 64 ? ~u64{0} : static_cast<u64>(ns);
    }

private:
    u64 ns_by_2_32_ = 0;
};

// ---- The clock of one CPU -----------------------------------------------------------------------

// Written by its own CPU alone, with interrupts off, or while that CPU is not there; but shown_ns
// is raised by whoever asks. Everybody may read at any time, in the order of ask_steal_from_afar().
struct StealClock {
    // How often and by how much the record did what it cannot do.
    struct Steps {
        u64 count;
        u64 sum_ns;
        u64 last_ns;

        constexpr void add(u64 ns) {
            ++count;
            sum_ns += ns;
            last_ns = ns;
        }
    };

    // No record has it.
    static constexpr u64 kNoVersion = u64{1} << 32;

    // The host's record for this CPU. Null: there is none now, and the clock stands still.
    const KvmStealTime* record;
    // What the clock shows: total_ns, or what another CPU was shown if that is still more. A host
    // that takes back what it has let others see is so far ahead, and is waited for.
    u64 shown_ns;
    u64 total_ns;              // the sum of what this CPU's looks have found
    u64 raw_ns;                // what the record said at the last look
    u64 version = kNoVersion;  // of the record then, even; or raw_ns means nothing
    u64 tsc;                   // before that look, or an earlier one that found the same
    // Of what was shown, how much since checked_tsc. At most a tick of it ahead of time.
    u64 unchecked_ns;
    u64 checked_tsc;
    u64 told_ns;  // what was shown when the kernel ceased to ask
    u32 cpu;
    // The kernel's own clock has been showing the record: the next look goes on from there. While
    // both are asked, so does each.
    bool native_shown;
    Steps backward;
    Steps forward;     // ahead of time; sum_ns and last_ns: what was dropped
    u64 torn_looks;    // no consistent look within the bound
    u64 host_updates;  // how often the host has written the record

    // The sum minus what the record says now, more or less: what has been healed.
    constexpr s64 carry_ns() const { return static_cast<s64>(total_ns - raw_ns); }
    constexpr bool known() const { return version != kNoVersion; }
};

// A record that is 1/1024 faster than time is no step: the TSC's rate is known to some 500 ppm.
inline constexpr u32 kStealRateShift = 10;

// How much of `stolen_ns` can be true; the rest is counted as a step. Up to a tick is believed
// without a look at the time, in all looks together since there was last time enough for
// everything: several may come in a tick. Above, time ends after this look at the record and began
// before the earlier one, so that a pause between a look and its TSC counts for the guest: `tsc` is
// from before this look.
template <class Machine>
u64 believable_ns(Machine& machine, StealClock& own, u64 stolen_ns, u64 tsc) {
    const u64 tick_ns = machine.tick_ns();
    if (stolen_ns <= tick_ns && own.unchecked_ns <= tick_ns - stolen_ns) {
        own.unchecked_ns += stolen_ns;
        return stolen_ns;
    }
    const u64 now = machine.tsc();
    const auto elapsed_ns = [&](u64 since) {
        const s64 ticks = static_cast<s64>(now - since);
        return ticks > 0 ? machine.elapsed_ns(static_cast<u64>(ticks)) : 0;
    };
    u64 held_against_ns = elapsed_ns(own.checked_tsc);
    const bool time_enough = held_against_ns >= own.unchecked_ns;
    u64 room_ns = time_enough ? held_against_ns - own.unchecked_ns : 0;
    if (stolen_ns > tick_ns) {
        const u64 since_look_ns = elapsed_ns(own.tsc);
        if (since_look_ns < room_ns) room_ns = held_against_ns = since_look_ns;
    }
    // Also where the TSC has gone back: it might not catch up for years.
    if (time_enough || static_cast<s64>(now - own.checked_tsc) < 0) {
        own.unchecked_ns = 0;
        own.checked_tsc = tsc;
    }
    if (stolen_ns <= room_ns) return stolen_ns;
    const u64 excess_ns = stolen_ns - room_ns;
    if (excess_ns > held_against_ns >> kStealRateShift) own.forward.add(excess_ns);
    return room_ns;
}

// ---- What is shown ------------------------------------------------------------------------------

// From now on nothing below `ns` is shown. From any CPU. Returns what is shown. Ends, because who
// loses has lost against one who has raised it.
template <class Machine>
[[gnu::always_inline]] inline u64 raise_steal(Machine& machine, StealClock& own, u64 ns) {
    u64 shown_ns = machine.load(own.shown_ns);
    while (ns > shown_ns && !machine.compare_exchange(own.shown_ns, shown_ns, ns)) {
    }
    return ns > shown_ns ? ns : shown_ns;
}

// What a clock that takes over has shown is the kernel's own affair, and it may begin below that.
template <class Machine>
void set_steal(Machine& machine, StealClock& own, u64 total_ns) {
    if (own.native_shown)
        machine.store(own.shown_ns, total_ns);
    else
        raise_steal(machine, own, total_ns);
    if (total_ns == own.total_ns) return;
    machine.rebased(own, total_ns - own.total_ns);
    machine.store(own.total_ns, total_ns);
}

// What a look has found: `stolen_ns` more. In the order that ask_steal_from_afar() counts on.
template <class Machine>
void take_in_steal(Machine& machine, StealClock& own, u64 stolen_ns, u64 raw_ns, u64 tsc) {
    const u64 total_ns = own.total_ns + stolen_ns;
    raise_steal(machine, own, total_ns);
    machine.barrier();
    machine.store(own.raw_ns, raw_ns);
    machine.store(own.tsc, tsc);
    machine.barrier();
    machine.store(own.total_ns, total_ns);
}

// ---- Where it begins ----------------------------------------------------------------------------

// The least that may be shown. What a clock that takes over showed without a record, or to nobody,
// is no reason to show it again.
template <class Machine>
u64 least_steal(Machine& machine, const StealClock& own) {
    const u64 accounted_ns = machine.accounted_ns(own);
    return own.native_shown || own.total_ns < accounted_ns ? accounted_ns : own.total_ns;
}

// The record is known from now on, raw_ns, and nothing counts that it said before. But who takes
// over shows at once what has been shown, so that what the kernel has not accounted yet is not
// lost; unless it is less than the kernel has, or more by what there was no time for.
template <class Machine>
void take_up_steal(Machine& machine, StealClock& own) {
    u64 begin_ns = least_steal(machine, own);
    if (own.native_shown) {
        if (own.raw_ns < begin_ns)
            own.backward.add(begin_ns - own.raw_ns);
        else if (own.raw_ns - begin_ns > machine.uptime_ns())
            own.forward.add(own.raw_ns - begin_ns);
        else
            begin_ns = own.raw_ns;
    }
    set_steal(machine, own, begin_ns);
    machine.barrier();  // ask_steal_from_afar()
    own.native_shown = own.native_shown && machine.handover_in_progress();
}

// Without a record nothing is stolen; but another clock may have been asked since the last look.
template <class Machine>
[[gnu::noinline]] u64 stand_still(Machine& machine, StealClock& own) {
    set_steal(machine, own, least_steal(machine, own));
    return machine.load(own.shown_ns);
}

// ---- Looking ------------------------------------------------------------------------------------

// The record has been written. A version that is odd belongs to the next time. `tsc` is from before
// this look.
template <class Machine>
[[gnu::noinline]] void advance_steal(Machine& machine, StealClock& own, u64 raw_ns, u32 version,
                                     u64 tsc) {
    const u64 even_version = version & ~u32{1};
    if (!own.known()) {
        own.unchecked_ns = 0;
        own.checked_tsc = tsc;
        machine.store(own.raw_ns, raw_ns);
        machine.store(own.tsc, tsc);
        take_up_steal(machine, own);
        machine.barrier();  // ask_steal_from_afar()
        if (!own.native_shown) machine.store(own.version, even_version);
        return;
    }
    own.host_updates += (version - static_cast<u32>(own.version)) / 2;
    const u64 before_ns = own.raw_ns;
    const u64 forward_before = own.forward.count;
    u64 believed_ns = 0;
    if (raw_ns > before_ns)
        believed_ns = believable_ns(machine, own, raw_ns - before_ns, tsc);
    else if (raw_ns < before_ns)
        own.backward.add(before_ns - raw_ns);
    take_in_steal(machine, own, believed_ns, raw_ns, tsc);
    machine.store(own.version, even_version);
    // Told when all is in place: who is told may ask.
    if (raw_ns < before_ns) machine.stepped(own, false, before_ns - raw_ns);
    if (own.forward.count != forward_before) machine.stepped(own, true, own.forward.last_ns);
    if (believed_ns) machine.stolen(own, believed_ns);
}

// Most looks come between two of the host's writes. The version alone would do for a host that
// plays by the rules; the value is loaded after it, so that nothing written later goes unseen.
template <class Machine>
[[gnu::always_inline]] inline bool steal_unchanged(Machine& machine, const StealClock& own,
                                                   const KvmStealTime& record) {
    if (machine.load(record.version) != own.version) return false;
    machine.barrier();
    return machine.load(record.steal) == own.raw_ns;
}

// `tsc` was read before. Returns what is shown.
template <class Machine>
[[gnu::noinline]] u64 look_at_steal(Machine& machine, StealClock& own, const KvmStealTime& record,
                                    u64 tsc) {
    u64 raw_ns = 0;
    const bool whole = version_read(
        machine, record.version, [&]() __attribute__((always_inline)) {
            raw_ns = machine.load(record.steal);
        });
    if (!whole) {
        ++own.torn_looks;
        return own.known() ? machine.load(own.shown_ns) : stand_still(machine, own);
    }
    advance_steal(machine, own, raw_ns, machine.load(record.version), tsc);
    return machine.load(own.shown_ns);
}

// What is shown now. On the CPU itself, with interrupts off.
template <class Machine>
[[gnu::always_inline]] inline u64 ask_steal(Machine& machine, StealClock& own) {
    const KvmStealTime* record = machine.load(own.record);
    if (!record) [[unlikely]]
        return stand_still(machine, own);
    const u64 tsc = machine.tsc();
    if (!steal_unchanged(machine, own, *record)) [[unlikely]]
        return look_at_steal(machine, own, *record, tsc);
    own.tsc = tsc;
    return machine.load(own.shown_ns);
}

// Takes in what the record says, for who does not want the answer and comes often: as long as the
// record is unchanged the time is not read. What it grows by next is then held against the time
// since an earlier look, by ask_steal(), which the kernel's tick makes. Context as above.
template <class Machine>
[[gnu::always_inline]] inline void glance_at_steal(Machine& machine, StealClock& own) {
    const KvmStealTime* record = machine.load(own.record);
    if (!record || steal_unchanged(machine, own, *record)) [[likely]]
        return;
    look_at_steal(machine, own, *record, machine.tsc());
}

// ---- From another CPU ---------------------------------------------------------------------------

// While both clocks are asked. Of a clock that takes over, what it or the kernel's own in its place
// has shown at most. One that does not, or no more, is about to have its record healed: that is to
// cover what has been shown, so nothing is added to it.
template <class Machine>
[[gnu::noinline]] u64 shown_by_either(Machine& machine, const StealClock& own, bool native_shown) {
    const u64 shown_ns = machine.load(own.shown_ns);
    if (!native_shown) return shown_ns;
    const KvmStealTime* record = machine.load(own.record);
    const u64 native_ns = record ? machine.load(record->steal) : machine.accounted_ns(own);
    return native_ns > shown_ns ? native_ns : shown_ns;
}

// The record has grown since its CPU looked: what has been stolen since, but no more than time has
// passed. Nothing is believed without a look at the time, and what is shown here does not enter the
// sum that the next look begins with: however often it is asked for, a host that lies, or a TSC
// that is ahead of the other CPU's, never brings it further ahead than once.
template <class Machine>
[[gnu::noinline]] u64 look_from_afar(Machine& machine, StealClock& own, const KvmStealTime& record,
                                     u64 total_ns, u64 raw_ns, u64 look_tsc) {
    u64 now_ns = 0;
    const bool whole = version_read(
        machine, record.version, [&]() __attribute__((always_inline)) {
            now_ns = machine.load(record.steal);
        });
    if (!whole || now_ns <= raw_ns) return machine.load(own.shown_ns);
    const s64 ticks = static_cast<s64>(machine.tsc() - look_tsc);
    const u64 passed_ns = ticks > 0 ? machine.elapsed_ns(static_cast<u64>(ticks)) : 0;
    const u64 stolen_ns = now_ns - raw_ns;
    return raise_steal(machine, own, total_ns + (stolen_ns < passed_ns ? stolen_ns : passed_ns));
}

// What is shown now, asked from another CPU, by one or by several at once, while this one may be in
// the middle of a look or stopped there: the sum of its looks and what the record has grown by
// since. The kernel asks so when it brings a run queue's time up to date for a wake-up from afar,
// and takes what it is not told of for the time of the task that runs there.
//
// None of it moves what the CPU's own looks go on from. These take in what they have found in this
// order: what is shown; record and TSC; sum; at the beginning, version last. Here it is read in the
// reverse order, so that a sum comes with its own record and TSC or with later ones, of which what
// is shown knows already. x86 itself keeps stores in order with stores and loads with loads.
template <class Machine>
[[gnu::noinline]] u64 ask_steal_from_afar(Machine& machine, StealClock& own) {
    const bool native_shown = machine.load(own.native_shown);
    machine.barrier();  // In the order in which take_up_steal() ends.
    if (native_shown || machine.handover_in_progress()) [[unlikely]]
        return shown_by_either(machine, own, native_shown);
    const KvmStealTime* record = machine.load(own.record);
    if (!record || machine.load(own.version) == StealClock::kNoVersion) [[unlikely]]
        return machine.load(own.shown_ns);
    machine.barrier();
    const u64 total_ns = machine.load(own.total_ns);
    machine.barrier();
    const u64 look_tsc = machine.load(own.tsc);
    const u64 raw_ns = machine.load(own.raw_ns);
    machine.barrier();
    if (machine.load(record->steal) == raw_ns) [[likely]]
        return machine.load(own.shown_ns);
    return look_from_afar(machine, own, *record, total_ns, raw_ns, look_tsc);
}

// ---- The shape of what was stolen ---------------------------------------------------------------

inline constexpr u32 kStealBuckets = 64;

// Bucket b holds bursts of 2^b to 2^(b+1) - 1 ns. A burst is what was added between two looks.
constexpr u32 steal_bucket(u64 burst_ns) {
    return burst_ns ? static_cast<u32>(std::bit_width(burst_ns)) - 1 : 0;
}

struct StealShape {
    u64 bursts;
    u64 sum_ns;
    u64 longest_ns;
    u64 histogram[kStealBuckets];

    // True if it is the longest so far.
    constexpr bool add(u64 burst_ns) {
        ++bursts;
        sum_ns += burst_ns;
        ++histogram[steal_bucket(burst_ns)];
        if (burst_ns <= longest_ns) return false;
        longest_ns = burst_ns;
        return true;
    }
};

}  // namespace kvmpv
