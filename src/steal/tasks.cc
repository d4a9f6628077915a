// SPDX-License-Identifier: GPL-2.0-only

#include "steal/tasks.hh"

#include "base/cpus.hh"
#include "base/irqs.hh"
#include "steal/steal_clock.hh"

namespace kvmpv::steal_tasks {

namespace {

using steal_clock::CpuState;
using steal_clock::state_of;

constinit Charges** tables = nullptr;  // indexed by CPU; null for a CPU that has none
constinit bool on = false;

u64 num_possible() { return u64{last_possible_cpu()} + 1; }

bool make_table(u32 cpu) {
    if (!tables[cpu]) tables[cpu] = allocate<Charges>(1);
    return tables[cpu];
}

// Under CpusLock.
bool make_tables() {
    if (!tables) tables = allocate<Charges*>(num_possible());
    if (!tables) return false;
    for (const u32 cpu : online_cpus())
        if (!make_table(cpu)) return false;
    return true;
}

// Under CpusLock.
void point_at_tables(bool wanted) {
    on_or_for_each_cpu(
        [wanted](u32 cpu) { state_of(cpu).charges = wanted ? charges_of(cpu) : nullptr; });
}

// A copy of one CPU's tables, and how much its clock has grown by since the reset.
struct Copy {
    Charges charges;
    u64 since_reset_ns;
};

// Runs on `cpu` with interrupts off (`is_here`), or anywhere while that CPU is offline. So nothing
// is charged there meanwhile, and its clock does not go on.
void copy_table(u32 cpu, bool is_here, Copy& copy) {
    CpuState& state = state_of(cpu);
    if (on && is_here) steal_clock::look(state);
    copy.charges = *tables[cpu];
    copy.since_reset_ns = state.clock.total_ns - state.reset_total_ns;
}

// Fills `report`. `size` is the number of places in one CPU's table. take() selects the table of a
// CPU's charges.
template <class Who, class Take>
void gather(Report<Who>& report, u32 size, Take&& take) {
    report.is_on = on;
    if (!tables) return;
    const CpusLock lock;
    u32 num_tables = 0;
    for (const u32 cpu : possible_cpus())
        if (tables[cpu]) ++num_tables;
    Copy* const copy = allocate<Copy>(1);
    report.memory = allocate<Charge<Who>>(u64{num_tables} * size);
    report.has_memory = copy && report.memory;
    u32 count = 0;
    for (const u32 cpu : possible_cpus()) {
        if (!report.has_memory) break;
        if (!tables[cpu]) continue;
        if (is_online(cpu))
            on_cpu(cpu, [copy](u32 here) { copy_table(here, true, *copy); });
        else
            copy_table(cpu, false, *copy);
        const auto& table = take(copy->charges);
        report.since_reset_ns += copy->since_reset_ns;
        report.idle_ns += copy->charges.idle_ns;
        report.other_ns += table.other_ns();
        count += table.copy_to(report.memory + count);
    }
    linux_memory_destroy(copy);
    if (report.has_memory) report.merge(count);
}

}  // namespace

// Each CPU has an idle task of its own, and what is stolen from that is taken from nobody.
void charge(Charges& charges, u64 ns) {
    TaskWho who;
    linux_current_task(&who.task);
    if (!who.task.pid) {
        charges.idle_ns += ns;
        return;
    }
    charges.tasks.charge(who, ns);
    charges.cgroups.charge({who.task.cgroup}, ns);
}

Charges* charges_of(u32 cpu) { return tables ? tables[cpu] : nullptr; }

bool is_on() { return on; }

// Time that is charged without a look at each context switch may hit the wrong task. So the looks
// come first, then the tables, and the charging last; off, it is the reverse.
Result<void> set_on(bool wanted) {
    if (wanted == on) return {};
    if (!wanted) {
        {
            const CpusLock lock;
            point_at_tables(false);
            on = false;
        }
        linux_task_switches_disable();
        return {};
    }
    if (const int error = linux_task_switches_enable(); error) return Error(error);
    {
        const CpusLock lock;
        on = make_tables();
        if (on) point_at_tables(true);
    }
    if (on) return {};
    linux_task_switches_disable();
    return Error(-kEnomem);
}

Result<void> online_cpu(u32 cpu) {
    if (!on) return {};
    if (!make_table(cpu)) return Error(-kEnomem);
    const IrqsOff irqs_off;
    state_of(cpu).charges = tables[cpu];
    return {};
}

void destroy() {
    if (!tables) return;
    for (const u32 cpu : possible_cpus()) linux_memory_destroy(tables[cpu]);
    linux_memory_destroy(tables);
    tables = nullptr;
}

void report(Report<TaskWho>& on_tasks) {
    gather(
        on_tasks, kTasks, [](const Charges& of) -> auto& { return of.tasks; });
}

void report(Report<CgroupWho>& on_cgroups) {
    gather(
        on_cgroups, kCgroups, [](const Charges& of) -> auto& { return of.cgroups; });
}

}  // namespace kvmpv::steal_tasks
