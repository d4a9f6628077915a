// SPDX-License-Identifier: GPL-2.0-only

#include "steal/tasks.hh"

#include "base/cpus.hh"
#include "steal/steal_clock.hh"

namespace kvmpv::steal_tasks {

namespace {

using steal_clock::CpuState;
using steal_clock::state_of;

// A copy of one CPU's tables, and how much its clock has grown by since the reset.
struct Gathering {
    Charges copy;
    u64 since_reset_ns;
};

constinit Charges* all_charges = nullptr;  // indexed by CPU
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

// Runs on `cpu` with interrupts off, so nothing is charged there meanwhile, and its clock does not
// go on.
void gather_here(u32 cpu) {
    CpuState& state = state_of(cpu);
    if (on) steal_clock::look(state);
    gathering->copy = *charges_of(cpu);
    gathering->since_reset_ns = state.clock.total_ns - state.reset_total_ns;
}

// Fills `report`. `gathered` is the buffer for the charges of all CPUs. take() selects the table of
// a CPU's charges.
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

Charges* charges_of(u32 cpu) { return all_charges ? all_charges + cpu : nullptr; }

bool is_on() { return on; }

// To switch on: first the tables, then the look at each context switch, and the charging last. Time
// that is charged without such a look may hit the wrong task.
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
