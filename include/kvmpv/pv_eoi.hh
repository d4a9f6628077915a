// SPDX-License-Identifier: GPL-2.0-only
//
// PV EOI (msr.rst, MSR_KVM_PV_EOI_EN). The host sets bit 0 of this CPU's word while the guest may
// end the interrupt in service without an exit. A guest that finds the bit set and clears it has
// ended the interrupt. A guest that finds it clear must write the EOI register. At each exit the
// host withdraws a bit that is still set.

#pragma once

#include "kvmpv/abi.hh"
#include "kvmpv/result.hh"

namespace kvmpv {

// How interrupts were ended on a CPU. The values index kvmpv_cpu::eoi_count.
enum class EoiCounter : u8 {
    kElided,       // by clearing the bit
    kWrittenBusy,  // by writing the register; the interrupt came while a task ran
    kWrittenIdle,  // by writing the register; the interrupt came while the CPU was idle
    kNumCounters,
};

// A guest that ends interrupts. Everything runs on one CPU, with interrupts off.
template <class T>
concept EoiMachine = requires(T& machine, EoiCounter counter) {
    // Clears bit 0 of this CPU's word in one instruction. Returns whether the bit was set.
    { machine.test_and_clear() } -> std::same_as<bool>;
    // The interrupt came while the CPU was idle.
    { machine.in_idle() } -> std::same_as<bool>;
    // Adds one to this CPU's counter.
    machine.count(counter);
    // Writes the EOI register, and never asks the word again.
    machine.write_eoi();
};

// A guest that takes the word away from the host.
template <class T>
concept EoiSlotMachine = requires(T& machine) {
    { machine.test_and_clear() } -> std::same_as<bool>;
    // Writes this CPU's KVM_EOI_EN so that it no longer names the word.
    { machine.give_up_slot() } -> std::same_as<Result<void>>;
};

// Ends the interrupt in service. One test-and-clear and one increment; no loop, and nothing that
// the host could delay. An NMI in between ends no interrupt, so it never looks at the word.
// Interrupts off; notrace.
template <EoiMachine Machine>
[[gnu::always_inline]] inline void end_of_interrupt(Machine& machine) {
    if (machine.test_and_clear()) [[likely]] {
        machine.count(EoiCounter::kElided);
        return;
    }
    machine.count(machine.in_idle() ? EoiCounter::kWrittenIdle : EoiCounter::kWrittenBusy);
    machine.write_eoi();
}

// Takes this CPU's word away from the host for good. Returns whether its bit was still set
// afterwards, which cannot happen with a host that follows the document; or the error of the write
// to the slot, and then the word is untouched. Interrupts off.
//
// No EOI is written here, whether or not the bit is set. The write to the slot is an exit, at which
// the host withdraws a bit that is set. The interrupt that the bit stood for is still in service.
// Its handler has yet to end it, will find the bit clear, and will write the register. An EOI from
// here would come on top of that one, and would end another interrupt whose handler has not run.
//
// A bit that is still set has to be cleared for the same reason. The handler would take it for
// permission and would not write the register. But the host no longer looks at the word, so the
// interrupt would stay in service for ever.
template <EoiSlotMachine Machine>
Result<bool> give_up_word(Machine& machine) {
    if (const Result<void> gone = machine.give_up_slot(); !gone.ok()) return gone.error();
    return machine.test_and_clear();
}

// By how much a sum over IOAPIC lines has grown since it was `base`. A line that is freed takes its
// count with it, so the sum can shrink; that is taken for 0.
constexpr u64 grown_by(u64 now, u64 base) { return now > base ? now - base : 0; }

// ---- Why few EOIs are elided ------------------------------------------------------------------

// What happened in the same span of time.
struct EoiCounts {
    u64 elided;
    u64 written_busy;
    u64 written_idle;
    u64 ioapic;  // interrupts of lines whose EOI the host's IOAPIC has to see

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
    kTooFewToTell,     // fewer than kFewestToTell interrupts
    kNeverArmed,       // the host seems never to set the bit
    kIoapic,           // EoiCounts::ioapic explains at least half of the written ones
    kWithdrawnInIdle,  // as kIdle, and reading the clock makes the host withdraw the bit
    kIdle,             // at least half of the written ones came in idle
    kBusy,             // none of these
};

// Two busy vCPUs elide a larger share than this. A smaller one needs a reason.
inline constexpr u64 kFewBelowPercent = 90;

// Of fewer interrupts than this a share says nothing.
inline constexpr u64 kFewestToTell = 100;

// The reason that the counts support. On wake-up from idle the kernel reads its clock before it
// ends the interrupt. `clock_read_is_exit` says that this read is an exit, at which the host
// withdraws the bit. Otherwise the counts cannot tell a bit that was withdrawn from one that was
// never set. Any context.
constexpr WhyFew why_few(const EoiCounts& counts, bool clock_read_is_exit) {
    if (counts.total() < kFewestToTell) return WhyFew::kTooFewToTell;
    if (counts.elided * 100 >= counts.total() * kFewBelowPercent) return WhyFew::kNotFew;
    // An interrupt of a running task has no exit between its injection and its end. So at least one
    // of these many would have found the bit set, if the host ever set it.
    if (counts.elided == 0 && counts.written_busy >= counts.ioapic + kFewestToTell)
        return WhyFew::kNeverArmed;
    if (counts.ioapic * 2 >= counts.written()) return WhyFew::kIoapic;
    if (counts.written_idle * 2 >= counts.written())
        return clock_read_is_exit ? WhyFew::kWithdrawnInIdle : WhyFew::kIdle;
    return WhyFew::kBusy;
}

}  // namespace kvmpv
