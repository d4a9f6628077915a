// SPDX-License-Identifier: GPL-2.0-only
//
// The files of `steal/`, and what `status` adds about steal time.

#include "cpus.hh"
#include "kvmpv/x86.hh"
#include "steal.hh"
#include "steal_tasks.hh"
#include "view.hh"
#include "views.hh"

namespace kvmpv {

namespace {

using steal_clock::CpuState;
using steal_clock::state_of;

void target_name(char (&name)[64]) {
    linux_symbol_name(linux_static_call_target(KVMPV_CALL_PV_STEAL_CLOCK), name, sizeof(name));
}

constexpr Column kCpuColumns[] = {
    {"cpu", 3},          {"steal_ns", 16},       {"accounted_ns", 16}, {"raw_ns", 20},
    {"carry_ns", 20},    {"backward_steps", 14}, {"backward_ns", 20},  {"forward_steps", 13},
    {"dropped_ns", 20},  {"torn_looks", 10},     {"host_updates", 12}, {"preempted", 9},
    {"bursts", 8},       {"burst_sum_ns", 16},   {"longest_ns", 12},   {"longest_time_ns", 16},
    {"longest_pid", 11}, {"longest_comm", 16},
};
constexpr u32 kNumCpuColumns = sizeof(kCpuColumns) / sizeof(kCpuColumns[0]);
using CpuTable = Table<SeqSink, kNumCpuColumns>;

// Looked at and copied on the CPU itself, where nothing can change meanwhile.
const CpuState& look_here(u32 cpu) {
    CpuState& state = state_of(cpu);
    steal_clock::look(state);
    return state;
}

// The look itself has to run on the CPU, and for that the host gives it back and clears the byte.
// So all bytes are read before the first look.
void read_preempted() {
    for (const u32 cpu : online_cpus()) {
        CpuState& state = state_of(cpu);
        if (const KvmStealTime* record = x86::load(state.clock.record))
            __atomic_store_n(&state.preempted_at_look, x86::load(record->preempted),
                             __ATOMIC_RELAXED);
    }
}

template <class Row>
void for_each_online_cpu(Row&& row) {
    linux_cpus_lock();
    read_preempted();
    for (const u32 cpu : online_cpus()) {
        CpuState copy;
        on_cpu(cpu, [&](u32 here) { copy = look_here(here); });
        row(cpu, copy);
    }
    linux_cpus_unlock();
}

void write_cpu(CpuTable& table, u32 cpu, const CpuState& state) {
    const StealClock& own = state.clock;
    table.cell(cpu)
        .cell(own.shown_ns)
        .cell(linux_accounted_steal_ns(cpu))
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
        .cell(state.longest.task.pid);
    char name[kTaskNameSize];
    table.cell(task_name(state.longest.task, name));
}

}  // namespace

void write_steal_note(Out& out) {
    if (!steal.enabled()) return;
    if (!steal.hooked()) {
        out << (steal.was_hooked() ? "; observed only: unhooked"
                                   : "; observed only: disabled by the parameter steal_hook");
        return;
    }
    out << "; hooked";
    if (steal.on_top()) return;
    char name[64];
    target_name(name);
    out << ", below " << name;
}

namespace {

void show_steal_cpus(void* seq) {
    Out out = begin_view(seq);
    CpuTable table(out, kCpuColumns);
    if (!steal.enabled()) return;
    for_each_online_cpu([&](u32 cpu, const CpuState& state) { write_cpu(table, cpu, state); });
}

void show_steal_histogram(void* seq) {
    static constexpr Column kColumns[] = {
        {"cpu", 3}, {"from_ns", 20}, {"to_ns", 20}, {"bursts", 10}};
    Out out = begin_view(seq);
    Table table(out, kColumns);
    if (!steal.enabled()) return;
    for_each_online_cpu([&](u32 cpu, const CpuState& state) {
        for (u32 bucket = 0; bucket < kStealBuckets; ++bucket) {
            if (!state.shape.histogram[bucket]) continue;
            const u64 from_ns = u64{1} << bucket;
            table.cell(cpu)
                .cell(from_ns)
                .cell(from_ns + (from_ns - 1))
                .cell(state.shape.histogram[bucket]);
        }
    });
}

void write_hook(FieldTable& table) {
    table.cell("hooked").cell(yes_no(steal.hooked()));
    table.cell("on_top").cell(yes_no(steal.on_top()));
    char name[64];
    target_name(name);
    table.cell("target").cell(static_cast<const char*>(name));
    table.cell("accounting").cell(yes_no(linux_steal_accounting_is_on(false)));
    table.cell("run_queues").cell(yes_no(linux_steal_accounting_is_on(true)));
}

void show_steal_state(void* seq) {
    Out out = begin_view(seq);
    FieldTable table(out, kFieldColumns);
    write_hook(table);
    table.cell("attribution").cell(yes_no(steal_tasks::is_on()));
    table.cell("reset_time_ns").cell(steal.reset_time_ns());
}

void show_steal_hook(void* seq) {
    Out out = begin_view(seq);
    FieldTable table(out, kFieldColumns);
    write_hook(table);
}

int store_steal_hook(const char* text) {
    return store_switch(text, [](bool on) { return steal.set_hooked(on); });
}

void show_steal_reset(void* seq) {
    Out out = begin_view(seq);
    FieldTable table(out, kFieldColumns);
    table.cell("reset_time_ns").cell(steal.reset_time_ns());
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
