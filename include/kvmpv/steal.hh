// SPDX-License-Identifier: GPL-2.0-only
//
// Steal time that cannot lie. This file turns what the host says about how long a vCPU was kept
// from running into a clock that never goes back and is never more than a tick ahead of elapsed
// time.
//
// The kernel subtracts the last answer from this one, unsigned. If the record goes back just once,
// because of a bug in the host, a migration or a new registration, that becomes hundreds of years
// of steal. If the record jumps ahead, a CPU was stolen for longer than it has existed. So this
// clock does not show the record. It shows the sum of what the record grew by between any two
// looks, as far as the elapsed time allows.

#pragma once

#include "kvmpv/abi.hh"
#include "kvmpv/version_read.hh"

namespace kvmpv {

// ---- TSC ticks in nanoseconds -----------------------------------------------------------------

// Exact to 1 part in 2^32 for a TSC above 1 MHz. Saturates. Any context.
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

// Only its own CPU writes it, with interrupts off, or another CPU while that one is offline. The
// exception is shown_ns, which any CPU that asks may raise. Any CPU may read it at any time, in the
// order of ask_steal_from_afar(). Memory of zeros is not a valid clock, because of `version`.
struct StealClock {
    // How often the record did what it cannot do, and by how many ns.
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

    // Wider than the 32 bits of a record's version, so no record has it.
    static constexpr u64 kNoVersion = u64{1} << 32;

    // The host's record for this CPU. Null: there is none at present, and the clock stands still.
    const KvmStealTime* record;
    // What the clock shows: total_ns, or what another CPU was shown if that is still more. It is
    // more after the host has taken back steal that another CPU has seen. The clock then stands
    // still until total_ns has caught up.
    u64 shown_ns;
    u64 total_ns;              // the sum of what this CPU's looks have found
    u64 raw_ns;                // what the record said at the last look
    u64 version = kNoVersion;  // the record's at the last look, even; kNoVersion: no look yet
    u64 tsc;                   // read before the last look, or an earlier one that found the same
    // How much of total_ns was accepted since checked_tsc without checking elapsed time: at most
    // one tick.
    u64 unchecked_ns;
    u64 checked_tsc;
    u64 told_ns;  // what the clock showed when the kernel stopped asking it
    u32 cpu;
    // The kernel's own clock has been showing the record, so the next look continues from what the
    // record says. While both clocks are asked, every look does.
    bool native_shown;
    Steps backward;
    Steps forward;     // ahead of elapsed time; sum_ns and last_ns: what was dropped
    u64 torn_looks;    // the record was not whole within the bound
    u64 host_updates;  // how often the host has written the record

    // What the record lacked at the last look: by how much the total exceeds it. Negative if the
    // record says more.
    constexpr s64 carry_ns() const { return static_cast<s64>(total_ns - raw_ns); }
    constexpr bool known() const { return version != kNoVersion; }
};

// ---- What a machine must offer ----------------------------------------------------------------

// What the hardware and the kernel do for the clock, live or scripted. Called on the clock's own
// CPU with interrupts off, unless ask_steal_from_afar() calls.
template <class T>
concept StealMachine = VersionMachine<T> &&
    requires(T& machine, StealClock& own, u64& shared, u64& expected, u64 value, bool forward) {
    // Stores in one piece, here.
    machine.store(shared, value);
    // Stores `value` if `shared` is `expected`, in one locked instruction, and returns true. Else
    // loads `shared` into `expected`.
    { machine.compare_exchange(shared, expected, value) } -> std::same_as<bool>;
    // Adds in one instruction on memory. It need not be locked: the host does not write this
    // CPU's record while the instruction runs.
    machine.add(shared, value);
    // This CPU's TSC. It need not be ordered with loads.
    { machine.tsc() } -> std::same_as<u64>;
    // TSC ticks in ns; saturates.
    { machine.elapsed_ns(value) } -> std::same_as<u64>;
    // How many ns lie between two questions of the kernel's tick on a busy CPU.
    { machine.tick_ns() } -> std::same_as<u64>;
    // For how many ns the guest has been up.
    { machine.uptime_ns() } -> std::same_as<u64>;
    // How many ns of steal the kernel has accounted on the clock's CPU.
    { machine.accounted_ns(own) } -> std::same_as<u64>;
    // Some of the kernel's callers ask the kernel's own clock, others may ask this one.
    { machine.handover_in_progress() } -> std::same_as<bool>;
    // `value` ns have just been added to the total. May ask the clock.
    machine.stolen(own, value);
    // `value` ns of a step forward or backward were not believed. May ask the clock.
    machine.stepped(own, forward, value);
    // The total was moved by `value` ns, modulo 2^64, although nothing was stolen.
    machine.rebased(own, value);
};

// ---- How much can be true -----------------------------------------------------------------------

// A record that is faster than time by less than 1/1024 makes no step, because the TSC's rate is
// known to some 500 ppm only.
inline constexpr u32 kStealRateShift = 10;

// Returns how much of `stolen_ns` can be true, and counts the rest as a step. `tsc` was read before
// this look.
//
// Up to one tick of steal is accepted without checking elapsed time. That is one tick for all looks
// together since checked_tsc, when there was last enough time for everything, because several looks
// may come within a tick. Anything above is held against elapsed time. This ends now, after this
// look at the record, and began before the earlier look. So a pause between a look at the record
// and the read of its TSC counts in the guest's favour.
template <StealMachine Machine>
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
    // Starts anew also if the TSC has gone back: it might take years to reach checked_tsc again.
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

// From now on the clock shows nothing below `ns`. Returns what it shows. Runs on any CPU. The loop
// ends: whoever loses the exchange has lost it to a CPU that has raised the value.
template <StealMachine Machine>
[[gnu::always_inline]] inline u64 raise_steal(Machine& machine, StealClock& own, u64 ns) {
    u64 shown_ns = machine.load(own.shown_ns);
    while (ns > shown_ns && !machine.compare_exchange(own.shown_ns, shown_ns, ns)) {
    }
    return ns > shown_ns ? ns : shown_ns;
}

// Sets the total without anything stolen. A clock that takes over continues from the kernel's own
// clock, whatever it has shown itself, so it may begin below shown_ns.
template <StealMachine Machine>
void set_steal(Machine& machine, StealClock& own, u64 total_ns) {
    if (own.native_shown)
        machine.store(own.shown_ns, total_ns);
    else
        raise_steal(machine, own, total_ns);
    if (total_ns == own.total_ns) return;
    machine.rebased(own, total_ns - own.total_ns);
    machine.store(own.total_ns, total_ns);
}

// Adds what a look has found, `stolen_ns`. Stores in the order that ask_steal_from_afar() relies
// on.
template <StealMachine Machine>
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

// The least that the clock may show: its total, or what the kernel has accounted if that is more. A
// clock that takes over need not show its total again, because it showed that without a record or
// to nobody.
template <StealMachine Machine>
u64 least_steal(Machine& machine, const StealClock& own) {
    const u64 accounted_ns = machine.accounted_ns(own);
    return own.native_shown || own.total_ns < accounted_ns ? accounted_ns : own.total_ns;
}

// Starts on a record that says raw_ns. What the record said before does not count. Only a clock
// that takes over shows the record at once, as the kernel's own clock has done, so that steal which
// the kernel has not accounted yet is not lost. But it does not if the record says less than the
// kernel has accounted, or exceeds that by more than the guest's uptime.
template <StealMachine Machine>
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
    machine.barrier();  // pairs with ask_steal_from_afar()
    own.native_shown = own.native_shown && machine.handover_in_progress();
}

// Without a record nothing is stolen. But the kernel may have asked another clock since the last
// look, and have accounted more.
template <StealMachine Machine>
[[gnu::noinline]] u64 stand_still(Machine& machine, StealClock& own) {
    set_steal(machine, own, least_steal(machine, own));
    return machine.load(own.shown_ns);
}

// ---- Looking ------------------------------------------------------------------------------------

// Takes in what a look has found: the host has written the record. An odd `version` belongs to the
// host's next update. `tsc` was read before this look.
template <StealMachine Machine>
[[gnu::noinline]] void advance_steal(Machine& machine, StealClock& own, u64 raw_ns, u32 version,
                                     u64 tsc) {
    const u64 even_version = version & ~u32{1};
    if (!own.known()) {
        own.unchecked_ns = 0;
        own.checked_tsc = tsc;
        machine.store(own.raw_ns, raw_ns);
        machine.store(own.tsc, tsc);
        take_up_steal(machine, own);
        machine.barrier();  // pairs with ask_steal_from_afar()
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
    // Last, when everything is in place: whoever is told may ask the clock.
    if (raw_ns < before_ns) machine.stepped(own, false, before_ns - raw_ns);
    if (own.forward.count != forward_before) machine.stepped(own, true, own.forward.last_ns);
    if (believed_ns) machine.stolen(own, believed_ns);
}

// Most looks come between two of the host's writes. The version alone would do for a host that
// follows the protocol. The value is compared, too, and loaded after the version, so that no write
// goes unseen.
template <StealMachine Machine>
[[gnu::always_inline]] inline bool steal_unchanged(Machine& machine, const StealClock& own,
                                                   const KvmStealTime& record) {
    if (machine.load(record.version) != own.version) return false;
    machine.barrier();
    return machine.load(record.steal) == own.raw_ns;
}

// A look at a record that has changed. `tsc` was read before. Returns what the clock shows.
template <StealMachine Machine>
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

// Looks at the record, and returns what the clock shows now, in ns. On the clock's own CPU, with
// interrupts off, possibly with a run queue locked. Takes no lock and never sleeps.
template <StealMachine Machine>
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

// Looks at the record without an answer, for a caller that comes often, at every context switch. It
// does not read the TSC while the record is unchanged. What the record grows by next is then held
// against the time since an earlier look, which ask_steal() has made for the kernel's tick. Context
// as for ask_steal().
template <StealMachine Machine>
[[gnu::always_inline]] inline void glance_at_steal(Machine& machine, StealClock& own) {
    const KvmStealTime* record = machine.load(own.record);
    if (!record || steal_unchanged(machine, own, *record)) [[likely]]
        return;
    look_at_steal(machine, own, *record, machine.tsc());
}

// ---- From another CPU ---------------------------------------------------------------------------

// While both clocks are asked. If this clock takes over, returns the most that it, or the kernel's
// own clock in its place, has shown. If it does not, or no longer does, its record is about to be
// healed so that it covers what has been shown. So nothing is added to that.
template <StealMachine Machine>
[[gnu::noinline]] u64 shown_by_either(Machine& machine, const StealClock& own, bool native_shown) {
    const u64 shown_ns = machine.load(own.shown_ns);
    if (!native_shown) return shown_ns;
    const KvmStealTime* record = machine.load(own.record);
    const u64 native_ns = record ? machine.load(record->steal) : machine.accounted_ns(own);
    return native_ns > shown_ns ? native_ns : shown_ns;
}

// The record has grown since its CPU looked. Shows what was stolen since then, but no more than the
// time that has passed. Nothing is accepted without checking elapsed time. What is shown here does
// not enter the sum that the CPU's next look starts from. So however often other CPUs ask, a host
// that lies, or a TSC that is ahead of the other CPU's, brings the clock ahead only once.
template <StealMachine Machine>
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

// Returns what the clock of another CPU shows now, in ns. Several CPUs may ask at once. The clock's
// own CPU may be in the middle of a look, or stopped there by the host. The answer is the sum of
// that CPU's looks plus what the record has grown by since. The kernel asks like this when it
// updates a run queue's clock for a remote wake-up. What it is not told of it takes for time of the
// task that runs there. Interrupts off, possibly with that run queue locked. Takes no lock and
// never sleeps.
//
// Nothing here changes what the CPU's own looks continue from. A look stores what it has found in
// this order: what is shown; record and TSC; sum; and at the start the version last. This function
// loads in the reverse order. So the sum that it gets comes with its own record and TSC, or with
// later ones. If they are later, then what is shown, which is loaded last, already contains them.
// x86 itself keeps stores in order with stores and loads with loads.
template <StealMachine Machine>
[[gnu::noinline]] u64 ask_steal_from_afar(Machine& machine, StealClock& own) {
    const bool native_shown = machine.load(own.native_shown);
    machine.barrier();  // the reverse of the order in which take_up_steal() ends
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

// Bucket b holds bursts of 2^b to 2^(b+1) - 1 ns; bucket 0 also those of 0 ns. A burst is what was
// added between two looks.
constexpr u32 steal_bucket(u64 burst_ns) {
    return burst_ns ? static_cast<u32>(std::bit_width(burst_ns)) - 1 : 0;
}

// How long the bursts of one CPU were. Zeros: none yet.
struct StealShape {
    u64 bursts;
    u64 sum_ns;
    u64 longest_ns;
    u64 histogram[kStealBuckets];

    // Returns true if this burst is the longest so far.
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
