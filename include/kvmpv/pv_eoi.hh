// SPDX-License-Identifier: GPL-2.0-only
//
// PV EOI (msr.rst, MSR_KVM_PV_EOI_EN): the host sets bit 0 of this CPU's word while the interrupt
// in service may be ended without it. Whoever clears the bit has ended the interrupt; whoever finds
// it clear must write the EOI register. At each exit the host takes a set bit back.
//
// A Machine is the guest that runs this, on one CPU with interrupts off:
//     bool test_and_clear()            bit 0 of this CPU's word, in one instruction; was it set?
//     bool in_idle()                   the interrupt came while the CPU had nothing to do
//     void count(EoiCounter)
//     void write_eoi()                 the EOI register, past all paravirtual means
// and, to take the word away from the host:
//     Result<void> give_up_slot()      KVM_EOI_EN of this CPU names the word no more

#pragma once

#include "kvmpv/abi.hh"
#include "kvmpv/result.hh"

namespace kvmpv {

// How interrupts ended on a CPU. The order is that of kvmpv_cpu::eoi_count.
enum class EoiCounter : u8 {
    kElided,       // by clearing the bit
    kWrittenBusy,  // by writing the register, after an interrupt of whatever ran
    kWrittenIdle,  // by writing the register, after an interrupt of the idle task
    kNumCounters,
};

// One test-and-clear, one increment, no loop, nothing that the host could hold up. An NMI in
// between ends no interrupt and so never looks at the word.
template <class Machine>
[[gnu::always_inline]] inline void end_of_interrupt(Machine& machine) {
    if (machine.test_and_clear()) [[likely]] {
        machine.count(EoiCounter::kElided);
        return;
    }
    machine.count(machine.in_idle() ? EoiCounter::kWrittenIdle : EoiCounter::kWrittenBusy);
    machine.write_eoi();
}

// Takes this CPU's word away from the host for good. True if its bit was still set, which no host
// that keeps to the document leaves. No EOI is written here, in neither case: the write to the slot
// is itself an exit, at which the host withdraws a set bit. The interrupt that it stood for is
// still in service, and its handler, which has yet to end it, will find the bit clear and write the
// register. An EOI from here would come on top of that one and end another interrupt, one whose
// handler has not run. For the same reason a bit that is still set is cleared: the handler that
// found it would leave the interrupt in service for ever, for nobody asks for the bit any more.
template <class Machine>
Result<bool> give_up_word(Machine& machine) {
    if (const Result<void> gone = machine.give_up_slot(); !gone.ok()) return gone.error();
    return machine.test_and_clear();
}

// What a sum over lines has grown by since it was `base`. A line that goes takes its count along.
constexpr u64 grown_by(u64 now, u64 base) { return now > base ? now - base : 0; }

// ---- Why few EOIs are elided ------------------------------------------------------------------

struct EoiCounts {
    u64 elided;
    u64 written_busy;
    u64 written_idle;
    // Interrupts of lines whose EOI the host's IOAPIC has to see, in the same time.
    u64 ioapic;

    constexpr EoiCounts& operator+=(const EoiCounts& other) {
        elided += other.elided;
        written_busy += other.written_busy;
        written_idle += other.written_idle;
        ioapic += other.ioapic;
        return *this;
    }

    constexpr u64 written() const { return written_busy + written_idle; }
    constexpr u64 total() const { return elided + written(); }
    constexpr u64 percent_elided() const { return total() ? elided * 100 / total() : 0; }
};

enum class WhyFew : u8 {
    kNotFew,
    kTooFewToTell,
    kNeverArmed,
    kIoapic,
    kWithdrawnInIdle,
    kIdle,
    kBusy,
};

// Two busy vCPUs elide more than this; fewer is what wants a reason.
inline constexpr u64 kFewBelowPercent = 90;

// Below so many interrupts a share says nothing.
inline constexpr u64 kFewestToTell = 100;

// The reason that the counts support, each by the counts that are shown with it. Waking up, the
// kernel reads its clock before it ends the interrupt: `clock_read_is_exit` says that this is an
// exit, at which the host takes the bit back. Otherwise nothing tells a bit that was withdrawn from
// one that was never set.
constexpr WhyFew why_few(const EoiCounts& counts, bool clock_read_is_exit) {
    if (counts.total() < kFewestToTell) return WhyFew::kTooFewToTell;
    if (counts.elided * 100 >= counts.total() * kFewBelowPercent) return WhyFew::kNotFew;
    // An interrupt of a running task has no exit between its injection and its end, so of so many
    // one would have been found armed.
    if (counts.elided == 0 && counts.written_busy >= counts.ioapic + kFewestToTell)
        return WhyFew::kNeverArmed;
    if (counts.ioapic * 2 >= counts.written()) return WhyFew::kIoapic;
    if (counts.written_idle * 2 >= counts.written())
        return clock_read_is_exit ? WhyFew::kWithdrawnInIdle : WhyFew::kIdle;
    return WhyFew::kBusy;
}

}  // namespace kvmpv
