// SPDX-License-Identifier: GPL-2.0-only
//
// How the steal clock of steal.hh and the kernel's own clock take turns while CPUs come and go.
//
// The kernel asks one of the two clocks. It subtracts what it was told before, unsigned, whichever
// clock told it. If one clock shows less than the other has shown, that makes hundreds of years of
// steal. The kernel's callers are changed one by one, so both clocks are asked for a while. CPUs
// may come and go between any two steps, because each step takes the hotplug lock anew. Therefore:
//   - While both are asked, our clock shows what the kernel's own shows: the record as it is. When
//   our
//     turn ends, and before the kernel's own clock starts, the record is made to say what ours has
//     shown, to other CPUs as well. Meanwhile ours shows them nothing more.
//   - Whenever our clock starts, it starts at its first look and not ahead of it. Where it has no
//     record, it shows what the kernel has accounted, if that is more.
//   - If there is no other clock, ours starts again at what it showed last.
//
// All of it runs on the clock's own CPU with interrupts off, or on any CPU while that one is
// offline.

#pragma once

#include "kvmpv/steal.hh"

namespace kvmpv {

// The kernel is about to ask this clock. `native_shown`: until now it has asked a clock that shows
// the record as it is, and the machine says that both are asked, from now on until the kernel asks
// ours alone. Otherwise the kernel has asked nobody since leave_steal_hook(), and what was stolen
// meanwhile does not count. But a run queue may have been told more than the kernel has accounted.
template <StealMachine Machine>
void prepare_steal_hook(Machine& machine, StealClock& own, bool native_shown) {
    own.native_shown = native_shown;
    own.version = StealClock::kNoVersion;
    u64 begin_ns = machine.accounted_ns(own);
    if (!native_shown && own.told_ns > begin_ns) begin_ns = own.told_ns;
    machine.store(own.shown_ns, begin_ns);
    set_steal(machine, own, begin_ns);
    ask_steal(machine, own);
}

// From now on the kernel asks no clock.
inline void leave_steal_hook(StealClock& own) { own.told_ns = own.shown_ns; }

// The CPU has its record, for the first time or again. After a registration or a sleep, what the
// record says need not continue from the last look. `native_is_asked`: the kernel's own clock shows
// this record. If it does not, a clock that was already about to take over still is.
template <StealMachine Machine>
void begin_steal(Machine& machine, StealClock& own, const KvmStealTime* record,
                 bool native_is_asked) {
    own.record = record;
    own.version = StealClock::kNoVersion;
    if (native_is_asked) own.native_shown = true;
    ask_steal(machine, own);
}

// From now on the CPU has no record, and the clock stands still.
template <StealMachine Machine>
void end_steal(Machine& machine, StealClock& own) {
    ask_steal(machine, own);
    own.record = nullptr;
}

// Makes the record say what the clock shows, so that a clock that shows the record as it is can
// take over. The machine says that both are asked: since before any question that is still under
// way, and until the kernel no longer asks ours. The host adds to what it finds in the record, and
// cannot run on this CPU in the middle of an instruction, so one add loses nothing. Returns false
// if the record does not say it afterwards.
template <StealMachine Machine>
[[nodiscard]] bool heal_steal(Machine& machine, StealClock& own, KvmStealTime& record) {
    // The kernel has asked its own clock so far, or none. A record that is not behind stays as it
    // is.
    if (own.native_shown && machine.load(record.steal) >= machine.accounted_ns(own)) return true;
    set_steal(machine, own, least_steal(machine, own));
    // The value is whole whatever the version says: the host does not write while this CPU runs.
    const u64 tsc = machine.tsc();
    const u64 raw_ns = machine.load(record.steal);
    if (own.record && raw_ns != own.raw_ns)
        advance_steal(machine, own, raw_ns, machine.load(record.version), tsc);
    if (own.shown_ns > own.total_ns) set_steal(machine, own, own.shown_ns);
    if (const u64 carry_ns = own.total_ns - raw_ns) machine.add(record.steal, carry_ns);
    own.raw_ns = own.total_ns;
    own.native_shown = true;
    own.version = StealClock::kNoVersion;
    // The record may be ahead by what was stolen since the look, but no more.
    const u64 ahead_ns = machine.load(record.steal) - own.total_ns;
    return ahead_ns <= machine.elapsed_ns(machine.tsc() - tsc) + machine.tick_ns();
}

}  // namespace kvmpv
