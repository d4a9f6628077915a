// SPDX-License-Identifier: GPL-2.0-only
//
// The files of `async_pf/`.

#include "async_pf/views.hh"

#include "async_pf/async_pf.hh"
#include "base/cgroup_paths.hh"

namespace kvmpv {

void write_async_pf_note(Out& out) {
    const AsyncPf::State state = async_pf.state();
    if (!state.started) return;
    out << (state.accounting ? "; waits are counted" : "; waits are not counted");
    if (state.missed) out << ", " << state.missed << " were missed";
}

namespace {

constexpr Column kCpuColumns[] = {
    {"cpu", 3},
    {"waits", 10},
    {"waiting", 7},
    {"cut", 3},
    {"wait_ns", 16},
    {"longest_ns", 12},
    {"longest_time_ns", 16},
    {"longest_pid", 11},
    {"longest_comm", 16},
    {"interrupts", 10},
    {"flags", 5},
    {"token", 10},
    {"enabled", 7},
    {"send_always", 11},
    {"as_pf_vmexit", 12},
    {"as_interrupt", 12},
    {"pa", 12},
    {"vector", 6},
};
constexpr u32 kNumCpuColumns = sizeof(kCpuColumns) / sizeof(kCpuColumns[0]);
using CpuTable = Table<SeqSink, kNumCpuColumns>;

void blank_cells(CpuTable& table, u32 count) {
    for (u32 i = 0; i < count; ++i) table.cell("-");
}

void wait_cells(CpuTable& table, const std::optional<page_waits::OfCpu>& waits) {
    if (!waits) return blank_cells(table, 8);
    table.cell(waits->ended).cell(waits->waiting()).cell(waits->cut).cell(waits->sum_ns);
    if (!waits->ended) return blank_cells(table, 4);
    table.cell(waits->longest_ns)
        .cell(waits->longest_time_ns)
        .cell(waits->longest_task.task.pid)
        .cell(task_name(waits->longest_task.task));
}

void msr_cells(CpuTable& table, const Result<u64>& msr, const Result<u64>& vector) {
    if (msr.ok())
        table.cell(yes_no(msr.value() & kMsrEnabled))
            .cell(yes_no(msr.value() & kAsyncPfSendAlways))
            .cell(yes_no(msr.value() & kAsyncPfAsPfVmexit))
            .cell(yes_no(msr.value() & kAsyncPfAsInterrupt))
            .cell(Hex{msr.value() & kAsyncPfAddressMask});
    else
        blank_cells(table, 5);
    if (vector.ok())
        table.cell(Hex{vector.value() & kAsyncPfVectorMask});
    else
        blank_cells(table, 1);
}

void write_cpu(CpuTable& table, const AsyncPf::OfCpu& of) {
    table.cell(of.cpu);
    wait_cells(table, of.waits);
    if (of.interrupts >= 0)
        table.cell(static_cast<u64>(of.interrupts));
    else
        blank_cells(table, 1);
    table.cell(Hex{of.record.flags}).cell(Hex{of.record.token});
    msr_cells(table, of.msr, of.vector);
}

void show_cpus_of_async_pf(void* seq) {
    Out out = begin_view(seq);
    CpuTable table(out, kCpuColumns);
    async_pf.for_each_cpu([&](const AsyncPf::OfCpu& of) { write_cpu(table, of); });
}

void show_histogram(void* seq) {
    static constexpr Column kColumns[] = {{"from_ns", 20}, {"to_ns", 20}, {"waits", 10}};
    Out out = begin_view(seq);
    Table table(out, kColumns);
    const MutexLock lock(KVMPV_MUTEX_ASYNC_PF);
    const page_waits::HistogramCopy copy;
    if (!copy.histogram) return;
    for (u32 bucket = 0; bucket < WaitHistogram::kBuckets; ++bucket) {
        if (const u64 waits = copy.histogram->count_in(bucket))
            table.cell(WaitHistogram::lowest_of(bucket))
                .cell(WaitHistogram::highest_of(bucket))
                .cell(waits);
    }
}

template <class Who>
void write_head(Out& out, const page_waits::Report<Who>& report) {
    out << "accounting " << (report.is_on ? "on" : "off") << " wait_ns ";
    if (report.has_memory)
        out << report.sum_ns;
    else
        out << "-";
    out.end_line();
}

void show_tasks(void* seq) {
    static constexpr Column kColumns[] = {
        {"what", 5}, {"pid", 8}, {"tgid", 8}, {"wait_ns", 16}, {"comm", 16}};
    Out out = begin_view(seq);
    page_waits::Report<TaskWho> report;
    page_waits::report(report);
    write_head(out, report);
    Table table(out, kColumns);
    for (const Charge<TaskWho>& charge : report.charges) {
        const kvmpv_task& task = charge.who.task;
        table.cell("task").cell(task.pid).cell(task.tgid).cell(charge.ns).cell(task_name(task));
    }
    if (report.has_memory) table.cell("other").cell("-").cell("-").cell(report.other_ns).cell("-");
}

void show_cgroups(void* seq) {
    static constexpr Column kColumns[] = {{"what", 6}, {"id", 8}, {"wait_ns", 16}, {"path", 20}};
    Out out = begin_view(seq);
    page_waits::Report<CgroupWho> report;
    page_waits::report(report);
    write_head(out, report);
    Table table(out, kColumns);
    CgroupPaths paths;
    for (const Charge<CgroupWho>& charge : report.charges)
        table.cell("cgroup").cell(charge.who.id).cell(charge.ns).cell(paths.of(charge.who.id));
    if (report.has_memory) table.cell("other").cell("-").cell(report.other_ns).cell("-");
}

void show_accounting(void* seq) {
    Out out = begin_view(seq);
    FieldTable table(out, kFieldColumns);
    table.cell("accounting").cell(yes_no(async_pf.state().accounting));
}

int store_accounting(const char* text) {
    return store_switch(text, [](bool on) { return async_pf.set_accounting(on); });
}

void show_state(void* seq) {
    Out out = begin_view(seq);
    FieldTable table(out, kFieldColumns);
    const AsyncPf::State state = async_pf.state();
    table.cell("accounting").cell(yes_no(state.accounting));
    table.cell("counted_since_ns").cell(state.counted_since_ns);
    table.cell("waits").cell(state.total.ended);
    table.cell("waiting").cell(state.total.waiting());
    table.cell("cut").cell(state.total.cut);
    table.cell("missed").cell(state.missed);
    table.cell("most_at_once").cell(state.most_at_once);
    table.cell("wait_ns").cell(state.total.sum_ns);
}

constexpr kvmpv_file kFiles[] = {
    {"async_pf", "state", show_state, nullptr},
    {"async_pf", "cpus", show_cpus_of_async_pf, nullptr},
    {"async_pf", "histogram", show_histogram, nullptr},
    {"async_pf", "tasks", show_tasks, nullptr},
    {"async_pf", "cgroups", show_cgroups, nullptr},
    {"async_pf", "accounting", show_accounting, store_accounting},
};

}  // namespace

std::span<const kvmpv_file> async_pf_files() { return kFiles; }

}  // namespace kvmpv
