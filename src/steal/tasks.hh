// SPDX-License-Identifier: GPL-2.0-only
//
// Which task and which cgroup lost the time. Every stolen nanosecond is charged to the task that
// was running. To know exactly which one that was, the record is looked at on every context switch.

#pragma once

#include "base/charge_report.hh"
#include "boundary.h"
#include "kvmpv/result.hh"

namespace kvmpv::steal_tasks {

inline constexpr u32 kTasks = 1024;
inline constexpr u32 kCgroups = 256;

// The charges of one CPU since the last reset. The whole is the sum of idle_ns and, in either
// table, the charges and the others' time.
struct Charges {
    u64 idle_ns;
    ChargeTable<TaskWho, kTasks> tasks;
    ChargeTable<CgroupWho, kCgroups> cgroups;

    // Not by assignment, which could take as much space on the stack.
    void clear() { __builtin_memset(static_cast<void*>(this), 0, sizeof(*this)); }
};

// Charges `ns` to the task that this CPU runs. Interrupts off, often with a run queue locked.
void charge(Charges& charges, u64 ns);

// Switches charging on or off. Returns -ENOMEM, or the error of linux_task_switches_enable(). The
// CPUs that are online get their tables when charging is switched on, and others when they come
// online. The tables are kept until destroy(), so that what a CPU has lost is known after it went
// offline. Under steal time's mutex or at unload, and only while its clocks run. destroy() only
// while charging is off. May sleep.
Result<void> set_on(bool on);
bool is_on();
void destroy();

// `cpu` has come online, and its clock has not begun. On that CPU. Returns -ENOMEM, and then
// nothing is charged there.
Result<void> online_cpu(u32 cpu);

// The tables of `cpu`, or null if none are allocated. They may be cleared on that CPU, or while it
// is offline.
Charges* charges_of(u32 cpu);

// What was charged on all CPUs. Nothing is gathered anew, hooked or reset meanwhile.
template <class Who>
struct Report : ChargeReport<Who, KVMPV_MUTEX_STEAL> {
    u64 since_reset_ns = 0;  // what the clocks have grown by
    u64 idle_ns = 0;
};
// Fill in a report. They interrupt every CPU, and may sleep.
void report(Report<TaskWho>& on_tasks);
void report(Report<CgroupWho>& on_cgroups);

}  // namespace kvmpv::steal_tasks
