// SPDX-License-Identifier: GPL-2.0-only
//
// What tasks have waited for pages, while that is counted. A wait takes longer than anything that
// is done here, so there is one lock for all CPUs.

#pragma once

#include "base/charge_report.hh"
#include "kvmpv/page_waits.hh"
#include "kvmpv/result.hh"

namespace kvmpv::page_waits {

using OfCpu = CpuWaits<TaskWho>;

inline constexpr u32 kTasks = 1024;
inline constexpr u32 kCgroups = 256;

// Everything below is called under KVMPV_MUTEX_ASYNC_PF, or at load or unload, and may sleep.

// Switches counting on, from 0, or off; waits that have not ended then are cut. Returns -ENOMEM, or
// the error of linux_apf_waits_enable(). What was counted is kept until destroy(), which is called
// only while nothing is counted.
Result<void> set_on(bool on);
bool is_on();
void destroy();

// How many may wait at once without being missed.
u32 most_at_once();

// Copies what was counted of `cpu`, at one moment. Nothing if counting was never on.
std::optional<OfCpu> of_cpu(u32 cpu);

// The same of all CPUs that are possible; it has no longest wait.
OfCpu total();

// A copy of the histogram, which is too large for the stack.
struct HistogramCopy {
    HistogramCopy();
    ~HistogramCopy() { linux_memory_destroy(histogram); }
    HistogramCopy(const HistogramCopy&) = delete;
    HistogramCopy& operator=(const HistogramCopy&) = delete;

    WaitHistogram* histogram;  // null if there is no memory for it
};

template <class Who>
struct Report : ChargeReport<Who, KVMPV_MUTEX_ASYNC_PF> {
    u64 sum_ns = 0;  // of all waits
};
void report(Report<TaskWho>& on_tasks);
void report(Report<CgroupWho>& on_cgroups);

}  // namespace kvmpv::page_waits
