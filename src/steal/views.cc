// SPDX-License-Identifier: GPL-2.0-only
//
// The files of `steal/`, and what `status` adds about steal time.

#include "base/view.hh"
#include "steal/steal.hh"
#include "steal/views.hh"

namespace kvmpv {

namespace {

using steal_clock::CpuState;

constexpr Column kCpuColumns[] = {
    {"cpu", 3},          {"steal_ns", 16},       {"accounted_ns", 16}, {"raw_ns", 20},
    {"carry_ns", 20},    {"backward_steps", 14}, {"backward_ns", 20},  {"forward_steps", 13},
    {"dropped_ns", 20},  {"torn_looks", 10},     {"host_updates", 12}, {"preempted", 9},
    {"bursts", 8},       {"burst_sum_ns", 16},   {"longest_ns", 12},   {"longest_time_ns", 16},
    {"longest_pid", 11}, {"longest_comm", 16},
};
constexpr u32 kNumCpuColumns = sizeof(kCpuColumns) / sizeof(kCpuColumns[0]);
using CpuTable = Table<SeqSink, kNumCpuColumns>;

void write_cpu(CpuTable& table, u32 cpu, const Steal::OfCpu& of) {
    const CpuState& state = of.state;
    const StealClock& own = state.clock;
    table.cell(cpu)
        .cell(own.shown_ns)
        .cell(of.accounted_ns)
        .cell(own.raw_ns)
        .cell(Signed{own.carry_ns()})
        .cell(own.backward.count)
        .cell(own.backward.sum_ns)
        .cell(own.forward.count)
        .cell(own.forward.sum_ns)
        .cell(own.torn_looks)
        .cell(own.host_updates);
    if (own.record)
        table.cell(u64{state.preempted_at_look});
    else
        table.cell("-");
    table.cell(state.shape.bursts)
        .cell(state.shape.sum_ns)
        .cell(state.shape.longest_ns)
        .cell(state.longest.time_ns)
        .cell(state.longest.task.pid)
        .cell(task_name(state.longest.task));
}

}  // namespace

void write_steal_note(Out& out) {
    const Steal::State state = steal.state();
    if (!state.enabled) return;
    if (!state.hooked) {
        out << (state.was_hooked ? "; observed only: unhooked"
                                 : "; observed only: disabled by the parameter steal_hook");
        return;
    }
    out << "; hooked";
    if (!state.on_top) out << ", below " << &state.target[0];
}

namespace {

void show_steal_cpus(void* seq) {
    Out out = begin_view(seq);
    CpuTable table(out, kCpuColumns);
    steal.for_each_cpu([&](u32 cpu, const Steal::OfCpu& of) { write_cpu(table, cpu, of); });
}

void show_steal_histogram(void* seq) {
    static constexpr Column kColumns[] = {
        {"cpu", 3}, {"from_ns", 20}, {"to_ns", 20}, {"bursts", 10}};
    Out out = begin_view(seq);
    Table table(out, kColumns);
    steal.for_each_cpu([&](u32 cpu, const Steal::OfCpu& of) {
        const StealShape& shape = of.state.shape;
        for (u32 bucket = 0; bucket < kStealBuckets; ++bucket) {
            if (!shape.histogram[bucket]) continue;
            const u64 from_ns = u64{1} << bucket;
            table.cell(cpu)
                .cell(from_ns)
                .cell(from_ns + (from_ns - 1))
                .cell(shape.histogram[bucket]);
        }
    });
}

void write_hook(FieldTable& table, const Steal::State& state) {
    table.cell("hooked").cell(yes_no(state.hooked));
    table.cell("on_top").cell(yes_no(state.on_top));
    table.cell("target").cell(&state.target[0]);
    table.cell("accounting").cell(yes_no(state.accounting));
    table.cell("run_queues").cell(yes_no(state.run_queues));
}

void show_steal_state(void* seq) {
    Out out = begin_view(seq);
    FieldTable table(out, kFieldColumns);
    const Steal::State state = steal.state();
    write_hook(table, state);
    table.cell("attribution").cell(yes_no(state.attribution));
    table.cell("reset_time_ns").cell(state.reset_time_ns);
}

void show_steal_hook(void* seq) {
    Out out = begin_view(seq);
    FieldTable table(out, kFieldColumns);
    write_hook(table, steal.state());
}

int store_steal_hook(const char* text) {
    return store_switch(text, [](bool on) { return steal.set_hooked(on); });
}

void show_steal_reset(void* seq) {
    Out out = begin_view(seq);
    FieldTable table(out, kFieldColumns);
    table.cell("reset_time_ns").cell(steal.state().reset_time_ns);
}

int store_steal_reset(const char* text) {
    if (text[0] != '1' || text[1] != '\0') return -kEinval;
    return steal.reset().zero_or_negative_errno();
}

constexpr kvmpv_file kFiles[] = {
    {"steal", "state", show_steal_state, nullptr},
    {"steal", "cpus", show_steal_cpus, nullptr},
    {"steal", "histogram", show_steal_histogram, nullptr},
    {"steal", "hook", show_steal_hook, store_steal_hook},
    {"steal", "attribution", show_steal_attribution, store_steal_attribution},
    {"steal", "tasks", show_steal_tasks, nullptr},
    {"steal", "cgroups", show_steal_cgroups, nullptr},
    {"steal", "reset", show_steal_reset, store_steal_reset},
};

}  // namespace

std::span<const kvmpv_file> steal_files() { return kFiles; }

}  // namespace kvmpv
