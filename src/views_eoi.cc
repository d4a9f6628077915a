// SPDX-License-Identifier: GPL-2.0-only
//
// The files of `eoi/`.

#include "cpus.hh"
#include "eoi.hh"
#include "view.hh"
#include "views.hh"

namespace kvmpv {

namespace {

using ReasonLine = LineBuffer<200>;

void write_share(Writer<LineSink<200>>& out, u64 part, u64 whole) {
    out << part << " of " << whole << " written ";
}

// Whether the clock that the kernel keeps time by is a device, which the host or QEMU emulates.
bool clock_read_is_exit() {
    char name[16];
    if (linux_clocksource_current_name(name, sizeof(name)) != 0) return false;
    return __builtin_strcmp(name, "hpet") == 0 || __builtin_strcmp(name, "acpi_pm") == 0;
}

// In words, each with the counts that support it; a blank row of counts supports none.
void write_why_few(ReasonLine& line, const EoiCounts& counts) {
    Writer<LineSink<200>> out(LineSink<200>{&line});
    switch (why_few(counts, clock_read_is_exit())) {
        case WhyFew::kNotFew: out << "-"; return;
        case WhyFew::kTooFewToTell:
            out << "too few to tell: " << counts.total() << " interrupts";
            return;
        case WhyFew::kNeverArmed:
            out << "never armed: 0 of " << counts.written_busy
                << " interrupts of running tasks; the host ends them in hardware (APICv, AVIC) or "
                   "has always another one pending";
            return;
        case WhyFew::kIoapic:
            write_share(out, counts.ioapic, counts.written());
            out << "may be the IOAPIC's, whose end the host has to see";
            return;
        case WhyFew::kWithdrawnInIdle:
            out << "withdrawn by an exit before the EOI: ";
            write_share(out, counts.written_idle, counts.written());
            out << "came in idle, where the kernel first reads its clock, an exit with the current "
                   "one";
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
    if (!eoi.hooked()) return;
    u64 elided = 0, total = 0;
    for (const u32 cpu : possible_cpus()) {
        const EoiCounts counts = eoi.counts(cpu);
        elided += counts.elided;
        total += counts.total();
    }
    out << "; hooked, " << elided << " of " << total << " interrupts ended without an exit";
}

namespace {

void show_eoi_cpus(void* seq) {
    static constexpr Column kColumns[] = {
        {"cpu", 3},    {"elided", 10},         {"written", 10},     {"written_idle", 12},
        {"ioapic", 8}, {"elided_percent", 14}, {"exits_saved", 11}, {"reason", 1}};
    Out out = begin_view(seq);
    Table table(out, kColumns);
    if (!eoi.hooked()) return;
    linux_cpus_lock();
    for (const u32 cpu : online_cpus()) {
        const EoiCounts counts = eoi.counts(cpu);
        ReasonLine reason;
        write_why_few(reason, counts);
        table.cell(cpu)
            .cell(counts.elided)
            .cell(counts.written())
            .cell(counts.written_idle)
            .cell(counts.ioapic)
            .cell(counts.percent_elided())
            .cell(counts.elided)
            .cell(reason.text());
    }
    linux_cpus_unlock();
}

void show_eoi_state(void* seq) {
    Out out = begin_view(seq);
    FieldTable table(out, kFieldColumns);
    table.cell("hooked").cell(yes_no(eoi.hooked()));
    if (eoi.hooked()) {
        char above[80] = "-";
        if (!eoi.on_top()) linux_symbol_name(linux_eoi_callback(), above, sizeof(above));
        table.cell("above").cell(above);
    }
    table.cell("words_left_set").cell(eoi.words_left_set());
}

void show_eoi_hook(void* seq) { show_eoi_state(seq); }

int store_eoi_hook(const char* text) {
    return store_switch(text, [](bool on) { return eoi.set_hooked(on); });
}

constexpr kvmpv_file kFiles[] = {
    {"eoi", "state", show_eoi_state, nullptr},
    {"eoi", "cpus", show_eoi_cpus, nullptr},
    {"eoi", "hook", show_eoi_hook, store_eoi_hook},
};

}  // namespace

std::span<const kvmpv_file> eoi_files() { return kFiles; }

}  // namespace kvmpv
