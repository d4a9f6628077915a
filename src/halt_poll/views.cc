// SPDX-License-Identifier: GPL-2.0-only
//
// The files of `halt_poll/`.

#include "halt_poll/views.hh"

#include "base/view.hh"
#include "halt_poll/halt_poll.hh"

namespace kvmpv {

void write_halt_poll_note(Out& out) {
    const HaltPoll::State state = halt_poll.state();
    if (!state.started) return;
    if (state.driver_is_active)
        out << "; the driver haltpoll is active";
    else if (state.set_cpus)
        out << "; set on " << state.set_cpus << " of " << state.cpus << " CPUs";
    else
        out << "; as it was";
    if (state.accounting) out << ", wake-ups are counted";
    if (state.failures) out << ", " << state.failures << " failures, see the kernel log";
}

namespace {

constexpr Column kCpuColumns[] = {
    {"cpu", 3},      {"msr", 10},        {"set", 3},           {"before", 6},
    {"wakeups", 10}, {"timers", 10},     {"timer_p50_ns", 12}, {"timer_p99_ns", 12},
    {"ipis", 10},    {"ipi_p50_ns", 12}, {"ipi_p99_ns", 12},
};
constexpr u32 kNumCpuColumns = sizeof(kCpuColumns) / sizeof(kCpuColumns[0]);
using CpuTable = Table<SeqSink, kNumCpuColumns>;

void latency_cells(CpuTable& table, const Latency& latency, bool timed) {
    if (!timed)
        table.cell("untimed").cell("untimed");
    else if (!latency.count)
        table.cell("-").cell("-");
    else
        table.cell(latency.median_ns).cell(latency.p99_ns);
}

void wakeup_cells(CpuTable& table, const Wakeups::Counts& counts, bool ipis_are_timed) {
    table.cell(counts.all).cell(counts.timer);
    latency_cells(table, counts.timer_late, true);
    table.cell(counts.ipi);
    latency_cells(table, counts.ipi_took, ipis_are_timed);
}

template <class AnyTable>
void set_cell(AnyTable& table, const kvmpv_value& value) {
    if (value.is_held)
        table.cell(value.set);
    else
        table.cell("-");
}

void write_cpu(CpuTable& table, const HaltPoll::OfCpu& of, bool ipis_are_timed) {
    table.cell(of.cpu);
    if (of.msr.ok())
        table.cell(Hex{of.msr.value()});
    else
        table.cell("unreadable");
    set_cell(table, of.value);
    if (of.value.is_held)
        table.cell(Hex{of.value.before});
    else
        table.cell("-");
    if (of.wakeups) return wakeup_cells(table, *of.wakeups, ipis_are_timed);
    for (u32 column = 4; column < kNumCpuColumns; ++column) table.cell("-");
}

void show_cpus_of_halt_poll(void* seq) {
    Out out = begin_view(seq);
    CpuTable table(out, kCpuColumns);
    const bool ipis_are_timed = halt_poll.state().ipis_are_timed;
    halt_poll.for_each_cpu(
        [&](const HaltPoll::OfCpu& of) { write_cpu(table, of, ipis_are_timed); });
}

void show_control(void* seq) {
    static constexpr Column kColumns[] = {{"cpu", 3}, {"set", 3}};
    Out out = begin_view(seq);
    Table table(out, kColumns);
    halt_poll.for_each_cpu([&](const HaltPoll::OfCpu& of) {
        table.cell(of.cpu);
        set_cell(table, of.value);
    });
}

int store_control(const char* text) {
    const std::optional<PollControlWrite> wanted = parse_poll_control(text);
    return wanted ? halt_poll.write(*wanted).zero_or_negative_errno() : -kEinval;
}

void show_accounting(void* seq) {
    Out out = begin_view(seq);
    FieldTable table(out, kFieldColumns);
    table.cell("accounting").cell(yes_no(halt_poll.state().accounting));
}

int store_accounting(const char* text) {
    return store_switch(text, [](bool on) { return halt_poll.set_accounting(on); });
}

void show_state(void* seq) {
    Out out = begin_view(seq);
    FieldTable table(out, kFieldColumns);
    const HaltPoll::State state = halt_poll.state();
    table.cell("set_cpus").cell(state.set_cpus);
    table.cell("haltpoll_driver").cell(yes_no(state.driver_is_active));
    table.cell("failures").cell(state.failures);
    table.cell("accounting").cell(yes_no(state.accounting));
    table.cell("ipis_are_timed").cell(yes_no(state.ipis_are_timed));
    table.cell("counted_since_ns").cell(state.counted_since_ns);
}

constexpr kvmpv_file kFiles[] = {
    {"halt_poll", "state", show_state, nullptr},
    {"halt_poll", "cpus", show_cpus_of_halt_poll, nullptr},
    {"halt_poll", "control", show_control, store_control},
    {"halt_poll", "accounting", show_accounting, store_accounting},
};

}  // namespace

std::span<const kvmpv_file> halt_poll_files() { return kFiles; }

}  // namespace kvmpv
