// SPDX-License-Identifier: GPL-2.0-only
//
// How the steal clock of steal.hh and the kernel's own take turns, while the CPU comes and goes.
//
// The kernel asks one of the two and subtracts, without a sign, what it was told before, whoever
// told it: one that shows less than the other has makes hundreds of years of steal. The kernel's
// callers are changed one by one, so for a while both are asked; and CPUs may come and go between
// any two steps, because each takes the lock against that anew. Therefore:
//   - While both are asked, ours shows what the kernel's own does, the record as it is. Before that
//     begins at the end of our turn, the record is made to say what ours has shown, to other CPUs
//     as well; these are shown nothing more meanwhile.
//   - Whenever ours begins, it begins with the first look and not ahead of it, and wherever it has
//     no record it shows what is accounted, if that is more.
//   - Where there is no other clock, ours begins anew with what it showed last.
//
// Machine: as in steal.hh. All of it on the CPU itself, with interrupts off, or while that CPU is
// not there.

#pragma once

#include "kvmpv/steal.hh"

namespace kvmpv {

// The kernel is about to ask this clock. `native_shown`: so far it asks one that shows the record
// as it is; handover_in_progress() from now on, until it asks ours alone. If not, nobody has been
// asked since leave_steal_hook(), and what was stolen meanwhile does not count; but a run queue may
// have been told more than is accounted.
template <class Machine>
void prepare_steal_hook(Machine& machine, StealClock& own, bool native_shown) {
    own.native_shown = native_shown;
    own.version = StealClock::kNoVersion;
    u64 begin_ns = machine.accounted_ns(own);
    if (!native_shown && own.told_ns > begin_ns) begin_ns = own.told_ns;
    machine.store(own.shown_ns, begin_ns);
    set_steal(machine, own, begin_ns);
    ask_steal(machine, own);
}

// The kernel asks nobody from now on.
inline void leave_steal_hook(StealClock& own) { own.told_ns = own.shown_ns; }

// The CPU has its record, for the first time or again. What that says so far need not go on from
// the last look: after a registration, after sleep. `native_is_asked`: the kernel's own clock shows
// it. If not, a clock that was to take over from before still does.
template <class Machine>
void begin_steal(Machine& machine, StealClock& own, const KvmStealTime* record,
                 bool native_is_asked) {
    own.record = record;
    own.version = StealClock::kNoVersion;
    if (native_is_asked) own.native_shown = true;
    ask_steal(machine, own);
}

// The CPU has no record from now on, and the clock stands still.
template <class Machine>
void end_steal(Machine& machine, StealClock& own) {
    ask_steal(machine, own);
    own.record = nullptr;
}

// Writes into the record what is shown, so that a clock that shows the record as it is can take
// over; handover_in_progress() since before every question that is under way, until the kernel asks
// ours no more. The host adds to what it finds there, and cannot run while one instruction of ours
// does. False if the record does not say it afterwards.
template <class Machine>
[[nodiscard]] bool heal_steal(Machine& machine, StealClock& own, KvmStealTime& record) {
    // The kernel has been asking its own so far, or nobody. A record ahead stays as it was shown.
    if (own.native_shown && machine.load(record.steal) >= machine.accounted_ns(own)) return true;
    set_steal(machine, own, least_steal(machine, own));
    // Whole whatever the version says: the host does not write while this CPU runs.
    const u64 tsc = machine.tsc();
    const u64 raw_ns = machine.load(record.steal);
    if (own.record && raw_ns != own.raw_ns)
        advance_steal(machine, own, raw_ns, machine.load(record.version), tsc);
    if (own.shown_ns > own.total_ns) set_steal(machine, own, own.shown_ns);
    if (const u64 carry_ns = own.total_ns - raw_ns) machine.add(record.steal, carry_ns);
    own.raw_ns = own.total_ns;
    own.native_shown = true;
    own.version = StealClock::kNoVersion;
    // Ahead by what was stolen since the look, and no more.
    const u64 ahead_ns = machine.load(record.steal) - own.total_ns;
    return ahead_ns <= machine.elapsed_ns(machine.tsc() - tsc) + machine.tick_ns();
}

}  // namespace kvmpv
