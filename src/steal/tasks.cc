// SPDX-License-Identifier: GPL-2.0-only

#include "steal/tasks.hh"

#include "base/cpus.hh"
#include "steal/steal_clock.hh"

namespace kvmpv::steal_tasks {

namespace {

using steal_clock::CpuState;
using steal_clock::state_of;

// A copy of one CPU's tables, and room for the charges of all.
struct Gathering {
    Charges copy;
    u64 since_reset_ns;
};

constinit Charges* all_charges = nullptr;  // by CPU
constinit Gathering* gathering = nullptr;
constinit StealCharge<TaskWho>* gathered_tasks = nullptr;
constinit StealCharge<CgroupWho>* gathered_cgroups = nullptr;
constinit bool on = false;

template <class T>
bool allocate(T*& memory, u64 count) {
    memory = static_cast<T*>(linux_memory_create(count * sizeof(T)));
    return memory;
}

bool allocate_all() {
    const u64 cpus = last_possible_cpu() + 1;
    return allocate(all_charges, cpus) && allocate(gathering, 1) &&
           allocate(gathered_tasks, cpus * kTasks) && allocate(gathered_cgroups, cpus * kCgroups);
}

void point_at_tables(bool wanted) {
    const CpusLock lock;
    on_or_for_each_cpu(
        [wanted](u32 cpu) { state_of(cpu).charges = wanted ? charges_of(cpu) : nullptr; });
}

// Nothing is charged on that CPU meanwhile, nor does its clock go on.
void gather_here(u32 cpu) {
    CpuState& state = state_of(cpu);
    if (on) steal_clock::look(state);
    gathering->copy = *charges_of(cpu);
    gathering->since_reset_ns = state.clock.total_ns - state.reset_total_ns;
}

// Into `report`, by way of `gathered`; take() is the table in question of a CPU's.
template <class Who, class Take>
void gather(Report<Who>& report, StealCharge<Who>* gathered, Take&& take) {
    report.is_on = on;
    if (!all_charges) return;
    u32 count = 0;
    const CpusLock lock;
    const auto add = [&] {
        const auto& table = take(gathering->copy);
        report.since_reset_ns += gathering->since_reset_ns;
        report.idle_ns += gathering->copy.idle_ns;
        report.other_ns += table.other_ns();
        count += table.copy_to(gathered + count);
    };
    for (const u32 cpu : online_cpus()) {
        on_cpu(cpu, gather_here);
        add();
    }
    for_each_offline_cpu([&](u32 cpu) {
        gathering->copy = *charges_of(cpu);
        gathering->since_reset_ns = state_of(cpu).clock.total_ns - state_of(cpu).reset_total_ns;
        add();
    });
    report.charges = {gathered, merge_charges(gathered, count)};
}

}  // namespace

// The idle task is one on each CPU, and no task to whom anything was taken.
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

Charges* charges_of(u32 cpu) { return all_charges ? all_charges + cpu : nullptr; }

bool is_on() { return on; }

// Tables before looks and looks before nothing: what is charged without a look at each change of
// task may hit the wrong one.
Result<void> set_on(bool wanted) {
    if (wanted == on) return {};
    if (!wanted) {
        linux_task_switches_disable();
        point_at_tables(false);
        on = false;
        return {};
    }
    if (!all_charges && !allocate_all()) {
        destroy();
        return Error(-kEnomem);
    }
    if (const int error = linux_task_switches_enable(); error) return Error(error);
    point_at_tables(true);
    on = true;
    return {};
}

void destroy() {
    linux_memory_destroy(all_charges);
    linux_memory_destroy(gathering);
    linux_memory_destroy(gathered_tasks);
    linux_memory_destroy(gathered_cgroups);
    all_charges = nullptr;
    gathering = nullptr;
    gathered_tasks = nullptr;
    gathered_cgroups = nullptr;
}

void report(Report<TaskWho>& on_tasks) {
    gather(
        on_tasks, gathered_tasks, [](const Charges& of) -> auto& { return of.tasks; });
}

void report(Report<CgroupWho>& on_cgroups) {
    gather(
        on_cgroups, gathered_cgroups, [](const Charges& of) -> auto& { return of.cgroups; });
}

}  // namespace kvmpv::steal_tasks
