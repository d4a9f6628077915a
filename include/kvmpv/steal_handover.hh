// SPDX-License-Identifier: GPL-2.0-only
//
// How the steal clock of steal.hh and the kernel's own take turns, while the CPU comes and goes.
//
// The kernel asks one of the two and subtracts, without a sign, what it was told before, whoever
// told it: one that shows less than the other has makes hundreds of years of steal. Before the
// kernel is made to ask the other, each CPU's clock is prepared under the lock that keeps CPUs from
// coming and going; the change itself takes that lock anew, and a CPU may have come or gone, or
// both, in between. Nor does the change happen at one moment: the kernel's callers are changed one
// by one. So nothing here relies on which of the two the kernel has asked last, only on what it has
// accounted.
//
// Machine: as in steal.hh. All of it on the CPU itself, with interrupts off, or while that CPU is
// not there.

#pragma once

#include "kvmpv/steal.hh"

namespace kvmpv {

// The kernel is about to ask this clock. `takes_over`: it has been asking one that shows the record
// as it is, and does so until it asks ours for the first time, which nobody else may do then.
template <class Machine>
void prepare_steal_hook(Machine& machine, StealClock& own, bool takes_over) {
    own.takes_over = takes_over;
    own.version = StealClock::kNoVersion;
    set_steal(machine, own, machine.accounted_ns(own));
    if (!takes_over) ask_steal(machine, own);
}

// The CPU has its record, for the first time or again. What that says so far need not go on from
// the last look: after a registration, after sleep. `takes_over`: the kernel's own clock shows it.
template <class Machine>
void begin_steal(Machine&, StealClock& own, const KvmStealTime* page, bool takes_over) {
    own.page = page;
    own.version = StealClock::kNoVersion;
    if (takes_over) own.takes_over = true;
}

// The CPU has no record from now on, and the clock stands still.
template <class Machine>
void end_steal(Machine& machine, StealClock& own) {
    if (!own.takes_over) ask_steal(machine, own);
    own.page = nullptr;
}

// Writes into the record what is shown, so that a clock that shows the record as it is can take
// over. The host adds to what it finds there, and cannot run while one instruction of ours does.
// False if the record does not say it afterwards.
template <class Machine>
[[nodiscard]] bool heal_steal(Machine& machine, StealClock& own, KvmStealTime& page) {
    if (own.takes_over) return true;  // The record has been shown so far, nothing else.
    set_steal(machine, own, least_steal(machine, own));
    // Whole whatever the version says: the host does not write while this CPU runs.
    const u64 tsc = machine.tsc();
    const u64 raw_ns = machine.load(page.steal);
    if (own.page && raw_ns != own.raw_ns)
        advance_steal(machine, own, raw_ns, machine.load(page.version), tsc);
    if (const u64 carry_ns = own.total_ns - raw_ns) machine.add(page.steal, carry_ns);
    own.raw_ns = own.total_ns;
    own.version = machine.load(page.version) & ~u32{1};
    own.tsc = tsc;
    // Ahead by what was stolen since the look, and no more.
    const u64 ahead_ns = machine.load(page.steal) - own.total_ns;
    return ahead_ns <= machine.elapsed_ns(machine.tsc() - tsc) + machine.tick_ns();
}

}  // namespace kvmpv
