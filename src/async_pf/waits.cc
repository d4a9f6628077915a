// SPDX-License-Identifier: GPL-2.0-only

#include "async_pf/waits.hh"

#include "base/cpus.hh"

namespace kvmpv::page_waits {

namespace {

using Waits = PageWaits<TaskWho, kTasks, CgroupWho, kCgroups>;

// Both are there before the first wait can be counted, and stay until destroy().
constinit Waits* waits = nullptr;
constinit OfCpu* cpus = nullptr;  // of all possible CPUs
constinit bool on = false;

class WaitsLock {
public:
    WaitsLock() : state_(linux_apf_waits_lock()) {}
    ~WaitsLock() { linux_apf_waits_unlock(state_); }
    WaitsLock(const WaitsLock&) = delete;
    WaitsLock& operator=(const WaitsLock&) = delete;

private:
    u64 state_;
};

bool make() {
    if (!waits) waits = allocate<Waits>(1);
    if (!cpus) cpus = allocate<OfCpu>(u64{last_possible_cpu()} + 1);
    return waits && cpus;
}

void cut_all() {
    const WaitsLock lock;
    for (const u32 cpu : possible_cpus()) cpus[cpu].cut_all();
}

// Fills `report`. take() selects one of the two tables.
template <class Who, class Take>
void gather(Report<Who>& report, u32 size, Take&& take) {
    report.is_on = on;
    if (!waits || !cpus) return;
    report.memory = allocate<Charge<Who>>(size);
    report.has_memory = report.memory;
    if (!report.has_memory) return;
    u32 count = 0;
    {
        const WaitsLock lock;
        const auto& table = take(*waits);
        count = table.copy_to(report.memory);
        report.other_ns = table.other_ns();
        for (const u32 cpu : possible_cpus()) report.sum_ns += cpus[cpu].sum_ns;
    }
    report.merge(count);
}

}  // namespace

Result<void> set_on(bool wanted) {
    if (wanted == on) return {};
    if (!wanted) {
        linux_apf_waits_disable();
        on = false;
        cut_all();
        return {};
    }
    if (!make()) return Error(-kEnomem);
    waits->forget();
    for (const u32 cpu : possible_cpus()) cpus[cpu] = {};
    const Result<void> enabled = Result<void>::from_errno(linux_apf_waits_enable(most_at_once()));
    on = enabled.ok();
    return enabled;
}

bool is_on() { return on; }

void destroy() {
    linux_memory_destroy(waits);
    linux_memory_destroy(cpus);
    waits = nullptr;
    cpus = nullptr;
}

// KVM brings up to 64 pages at once for a vCPU. A task whose page has come still counts until it
// runs again, hence twice as many. Beyond the limit the memory for them would be much, and so would
// be the trouble of such a guest.
u32 most_at_once() {
    constexpr u32 kPerCpu = 2 * 64;
    constexpr u32 kLimit = 1024;
    const u32 most = (last_possible_cpu() + 1) * kPerCpu;
    return most < kLimit ? most : kLimit;
}

std::optional<OfCpu> of_cpu(u32 cpu) {
    if (!cpus) return std::nullopt;
    const WaitsLock lock;
    return cpus[cpu];
}

OfCpu total() {
    OfCpu sum{};
    if (!cpus) return sum;
    const WaitsLock lock;
    for (const u32 cpu : possible_cpus()) {
        sum.begun += cpus[cpu].begun;
        sum.ended += cpus[cpu].ended;
        sum.cut += cpus[cpu].cut;
        sum.sum_ns += cpus[cpu].sum_ns;
    }
    return sum;
}

HistogramCopy::HistogramCopy() : histogram(allocate<WaitHistogram>(1)) {
    if (!histogram || !waits) return;
    const WaitsLock lock;
    __builtin_memcpy(histogram, &waits->histogram(), sizeof(*histogram));
}

void report(Report<TaskWho>& on_tasks) {
    gather(
        on_tasks, kTasks, [](const Waits& of) -> auto& { return of.tasks(); });
}

void report(Report<CgroupWho>& on_cgroups) {
    gather(
        on_cgroups, kCgroups, [](const Waits& of) -> auto& { return of.cgroups(); });
}

}  // namespace kvmpv::page_waits

using namespace kvmpv;

extern "C" void kvmpv_apf_wait_begins(kvmpv_apf_wait* wait) {
    using namespace kvmpv::page_waits;
    wait->cpu = linux_this_cpu();
    wait->begun_ns = linux_monotonic_ns();
    const WaitsLock lock;
    ++cpus[wait->cpu].begun;
}

extern "C" void kvmpv_apf_wait_ends(const kvmpv_apf_wait* wait) {
    using namespace kvmpv::page_waits;
    const u64 now_ns = linux_monotonic_ns();
    TaskWho who;
    linux_current_task(&who.task);
    u64 wait_ns = 0;
    {
        const WaitsLock lock;
        wait_ns = waits->end(cpus[wait->cpu], wait->begun_ns, now_ns, who, {who.task.cgroup});
    }
    linux_trace_async_pf_wait(wait->cpu, wait->token, wait_ns);
}
