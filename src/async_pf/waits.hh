// SPDX-License-Identifier: GPL-2.0-only
//
// What tasks have waited for pages, while that is counted. A wait takes longer than anything that
// is done here, so there is one lock for all CPUs.

#pragma once

#include "base/mutex.hh"
#include "base/who.hh"
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

// What was charged, at one moment: those who lost most come first. While an object of this type
// lives it holds the mutex, so nothing is switched.
template <class Who>
struct Report {
    Report() = default;
    ~Report() { linux_memory_destroy(memory); }
    Report(const Report&) = delete;
    Report& operator=(const Report&) = delete;

    MutexLock lock{KVMPV_MUTEX_ASYNC_PF};
    Charge<Who>* memory = nullptr;
    bool has_memory = true;  // false: nothing below means anything
    bool is_on = false;
    u64 sum_ns = 0;  // of all waits
    u64 other_ns = 0;
    std::span<const Charge<Who>> charges{};
};
void report(Report<TaskWho>& on_tasks);
void report(Report<CgroupWho>& on_cgroups);

}  // namespace kvmpv::page_waits
