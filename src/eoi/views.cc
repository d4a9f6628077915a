// SPDX-License-Identifier: GPL-2.0-only
//
// The files of `eoi/`.

#include "base/view.hh"
#include "eoi/eoi.hh"
#include "eoi/views.hh"

namespace kvmpv {

namespace {

using ReasonLine = LineBuffer<200>;

void write_share(Writer<LineSink<200>>& out, u64 part, u64 whole) {
    out << part << " of " << whole << " written ";
}

// In words, each with the counts that support it; a blank row of counts supports none.
void write_why_few(ReasonLine& line, WhyFew why, const EoiCounts& counts) {
    Writer<LineSink<200>> out(LineSink<200>{&line});
    switch (why) {
        case WhyFew::kNotFew: out << "-"; return;
        case WhyFew::kTooFewToTell:
            out << "too few to tell: " << counts.total() << " interrupts";
            return;
        case WhyFew::kNeverArmed:
            out << "never armed: 0 of " << counts.written_busy
                << " interrupts of running tasks; the host ends them in hardware (APICv, AVIC) or "
                   "always has another one pending";
            return;
        case WhyFew::kIoapic:
            write_share(out, counts.ioapic, counts.written());
            out << "may be the IOAPIC's, whose EOI the host has to see";
            return;
        case WhyFew::kWithdrawnInIdle:
            out << "withdrawn by an exit before the EOI: ";
            write_share(out, counts.written_idle, counts.written());
            out << "came in idle, where the kernel first reads its clock, which is an exit with "
                   "the "
                   "current one";
            return;
        case WhyFew::kIdle:
            write_share(out, counts.written_idle, counts.written());
            out << "came in idle: never armed, or withdrawn by an exit before the EOI";
            return;
        case WhyFew::kBusy:
            write_share(out, counts.written_busy, counts.written());
            out << "came while a task ran: another one pending, or an exit before the EOI";
            return;
    }
}

}  // namespace

void write_eoi_note(Out& out) {
    const Eoi::State state = eoi.state();
    if (!state.hooked) return;
    out << "; hooked, " << state.counts.elided << " of " << state.counts.total()
        << " interrupts ended without an exit";
}

namespace {

void show_eoi_cpus(void* seq) {
    static constexpr Column kColumns[] = {
        {"cpu", 3},    {"elided", 10},         {"written", 10},     {"written_idle", 12},
        {"ioapic", 8}, {"elided_percent", 14}, {"exits_saved", 11}, {"reason", 1}};
    Out out = begin_view(seq);
    Table table(out, kColumns);
    eoi.for_each_cpu([&](const Eoi::OfCpu& of) {
        ReasonLine reason;
        write_why_few(reason, of.why_few, of.counts);
        table.cell(of.cpu)
            .cell(of.counts.elided)
            .cell(of.counts.written())
            .cell(of.counts.written_idle)
            .cell(of.counts.ioapic)
            .cell(of.counts.percent_elided())
            .cell(of.counts.elided)
            .cell(reason.text());
    });
}

void show_eoi_state(void* seq) {
    Out out = begin_view(seq);
    FieldTable table(out, kFieldColumns);
    const Eoi::State state = eoi.state();
    table.cell("hooked").cell(yes_no(state.hooked));
    if (state.hooked) table.cell("above").cell(state.above[0] ? &state.above[0] : "-");
    table.cell("words_left_set").cell(state.words_left_set);
}

int store_eoi_hook(const char* text) {
    return store_switch(text, [](bool on) { return eoi.set_hooked(on); });
}

constexpr kvmpv_file kFiles[] = {
    {"eoi", "state", show_eoi_state, nullptr},
    {"eoi", "cpus", show_eoi_cpus, nullptr},
    {"eoi", "hook", show_eoi_state, store_eoi_hook},
};

}  // namespace

std::span<const kvmpv_file> eoi_files() { return kFiles; }

}  // namespace kvmpv
