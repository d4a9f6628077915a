// SPDX-License-Identifier: GPL-2.0-only
//
// Async page faults: a task that needs a page which the host has to bring, from swap for example,
// sleeps until it has come, and others run meanwhile. The kernel does that by itself. Here it is
// counted and timed.

#pragma once

#include "async_pf/waits.hh"
#include "base/cpus.hh"
#include "kvmpv/abi.hh"
#include "slot/slots.hh"

namespace kvmpv {

class AsyncPf {
public:
    // For mode kShared. Does what the parameter says; if that fails it is logged, and the rest
    // works.
    Result<void> start(const kvmpv_parameters& parameters);
    void stop();

    // Counts and times waits, or no longer does. -EINVAL if not started, or the error of
    // page_waits::set_on(). May sleep.
    Result<void> set_accounting(bool on);
    bool accounting() const { return page_waits::is_on(); }

    struct State {
        bool started;
        bool accounting;
        u32 most_at_once;
        u64 missed;
        u64 counted_since_ns;  // CLOCK_MONOTONIC; 0: never
        page_waits::OfCpu total;
    };
    State state() const;

    struct OfCpu {
        u32 cpu;
        Result<u64> msr;     // MSR_KVM_ASYNC_PF_EN
        Result<u64> vector;  // MSR_KVM_ASYNC_PF_INT
        KvmVcpuPvApfData record;
        s64 interrupts;  // or a negative errno
        std::optional<page_waits::OfCpu> waits;
    };
    // Calls row(const OfCpu&) for each online CPU. Takes the hotplug lock; may sleep.
    template <class Row>
    void for_each_cpu(Row&& row) const {
        if (!started_) return;
        const MutexLock lock(KVMPV_MUTEX_ASYNC_PF);
        const CpusLock cpus_lock;
        for (const u32 cpu : online_cpus()) row(look(cpu));
    }

private:
    static void log_cut();
    static OfCpu look(u32 cpu);

    bool started_ = false;
    u64 counted_since_ns_ = 0;
};

extern constinit AsyncPf async_pf;

}  // namespace kvmpv
