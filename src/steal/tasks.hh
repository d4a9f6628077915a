// SPDX-License-Identifier: GPL-2.0-only
//
// Which task, and which cgroup, lost the time: every stolen nanosecond is charged to the task that
// was running. That is told exactly by looking at the record whenever another task takes over.

#pragma once

#include "base/mutex.hh"
#include "kvmpv/boundary.h"
#include "kvmpv/result.hh"
#include "kvmpv/steal_table.hh"

namespace kvmpv::steal_tasks {

struct TaskWho {
    kvmpv_task task;

    bool same(const TaskWho& other) const {
        return task.pid == other.task.pid && task.start_ns == other.task.start_ns;
    }
    bool before(const TaskWho& other) const {
        return task.pid != other.task.pid ? task.pid < other.task.pid
                                          : task.start_ns < other.task.start_ns;
    }
    u64 hash() const { return task.pid; }
};

struct CgroupWho {
    u64 id;

    bool same(const CgroupWho& other) const { return id == other.id; }
    bool before(const CgroupWho& other) const { return id < other.id; }
    u64 hash() const { return id; }
};

inline constexpr u32 kTasks = 1024;
inline constexpr u32 kCgroups = 256;

// One CPU's, since the last reset. The parts of either table, the idle time and the others' are the
// whole.
struct Charges {
    u64 idle_ns;
    StealTable<TaskWho, kTasks> tasks;
    StealTable<CgroupWho, kCgroups> cgroups;

    // Not by assignment, which could take as much of the stack.
    void clear() { __builtin_memset(static_cast<void*>(this), 0, sizeof(*this)); }
};

// To the task that this CPU runs. With interrupts off, often with a run queue locked.
void charge(Charges& charges, u64 ns);

// The CPUs that are online have their tables from then on, and others from when they come. They are
// kept until destroy(), so that what a CPU has lost before it went is not forgotten. Under steal
// time's mutex, and only while its clocks run.
Result<void> set_on(bool on);
bool is_on();
void destroy();

// A CPU has come, before its clock begins. On that CPU. Without memory nothing is charged there.
Result<void> online_cpu(u32 cpu);

// The tables' memory for `cpu`, to be cleared on that CPU or while it is offline; null if there is
// none.
Charges* charges_of(u32 cpu);

// What was charged on all CPUs, those who lost most first. Nothing is gathered anew, hooked or
// reset while one of these lives.
template <class Who>
struct Report {
    Report() = default;
    ~Report() { linux_memory_destroy(memory); }
    Report(const Report&) = delete;
    Report& operator=(const Report&) = delete;

    MutexLock lock{KVMPV_MUTEX_STEAL};
    StealCharge<Who>* memory = nullptr;
    bool has_memory = true;  // false: nothing below means anything
    bool is_on = false;
    u64 since_reset_ns = 0;  // what the clocks have grown by
    u64 idle_ns = 0;
    u64 other_ns = 0;
    std::span<const StealCharge<Who>> charges{};
};
void report(Report<TaskWho>& on_tasks);
void report(Report<CgroupWho>& on_cgroups);

}  // namespace kvmpv::steal_tasks
