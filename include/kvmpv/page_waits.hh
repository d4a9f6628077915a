// SPDX-License-Identifier: GPL-2.0-only
//
// Async page faults: how often, and for how long, tasks have waited for pages that the host had to
// bring. Nothing here knows the kernel.

#pragma once

#include "kvmpv/charge_table.hh"
#include "kvmpv/histogram.hh"

namespace kvmpv {

// Four buckets for each power of two. Waits of 2^40 ns (18 minutes) and more share the last one.
using WaitHistogram = LogLinearHistogram<2, 40>;

// The waits that began on one CPU, wherever they have ended. Memory of zeros has none.
template <Chargeable Task>
struct CpuWaits {
    u64 begun;
    u64 ended;
    u64 cut;  // begun, and nobody will hear of their end
    u64 sum_ns;
    u64 longest_ns;
    u64 longest_time_ns;  // when it ended
    Task longest_task;

    u64 waiting() const { return begun - ended - cut; }
    void cut_all() { cut = begun - ended; }
};

// The waits of the whole guest that have ended. Each is charged to one task and to one cgroup, so
// the charges of either table, with those of the others, add up to the sum of all CPUs' sum_ns.
//
// Memory of zeros has none. Takes no lock: one call at a time, and no reader meanwhile.
template <Chargeable Task, u32 kTasks, Chargeable Cgroup, u32 kCgroups>
class PageWaits {
public:
    // A wait that began on `cpu` at `begun_ns` ends. Returns how long it was. The clocks of two
    // CPUs may differ a little: it took 0 ns at least.
    u64 end(CpuWaits<Task>& cpu, u64 begun_ns, u64 now_ns, const Task& task, const Cgroup& cgroup) {
        const u64 wait_ns = now_ns > begun_ns ? now_ns - begun_ns : 0;
        ++cpu.ended;
        cpu.sum_ns += wait_ns;
        if (cpu.ended == 1 || wait_ns > cpu.longest_ns) {
            cpu.longest_ns = wait_ns;
            cpu.longest_time_ns = now_ns;
            cpu.longest_task = task;
        }
        histogram_.add(wait_ns);
        tasks_.charge(task, wait_ns);
        cgroups_.charge(cgroup, wait_ns);
        return wait_ns;
    }

    // Not by assignment, which could take as much space on the stack.
    void forget() { __builtin_memset(static_cast<void*>(this), 0, sizeof(*this)); }

    const WaitHistogram& histogram() const { return histogram_; }
    const ChargeTable<Task, kTasks>& tasks() const { return tasks_; }
    const ChargeTable<Cgroup, kCgroups>& cgroups() const { return cgroups_; }

private:
    WaitHistogram histogram_;
    ChargeTable<Task, kTasks> tasks_;
    ChargeTable<Cgroup, kCgroups> cgroups_;
};

// ---- MSR_KVM_ASYNC_PF_EN and MSR_KVM_ASYNC_PF_INT ----------------------------------------------

inline constexpr u64 kAsyncPfSendAlways = 1 << 1;   // also while the vCPU runs kernel code
inline constexpr u64 kAsyncPfAsPfVmexit = 1 << 2;   // to a hypervisor in this guest, as an exit
inline constexpr u64 kAsyncPfAsInterrupt = 1 << 3;  // tells by an interrupt that the page has come
inline constexpr u64 kAsyncPfVectorMask = 0xff;

}  // namespace kvmpv
