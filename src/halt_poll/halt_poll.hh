// SPDX-License-Identifier: GPL-2.0-only
//
// Halt polling: before the host takes a halted vCPU off its CPU, it may poll for a while, in case
// the vCPU is woken again soon. That makes wake-ups faster, but costs CPU time on the host. The
// guest may forbid it, for each CPU.

#pragma once

#include "base/cpus.hh"
#include "halt_poll/wakeup_accounts.hh"
#include "kvmpv/poll_control.hh"
#include "slot/slots.hh"

namespace kvmpv {

class HaltPoll {
public:
    // For mode kShared or kOwned. Applies the parameters halt_poll and halt_poll_accounting. If
    // that fails it is logged, and the rest works. After an error the caller calls stop().
    Result<void> start(const kvmpv_parameters& parameters);

    // Puts the MSR of every CPU back.
    void stop();

    // Sets the MSR of one CPU, or of all CPUs, those included that come online later. Then counts
    // wake-ups from 0. -EBUSY while the driver haltpoll is active, -ENODEV if the CPU is not
    // online, -EINVAL if not started, -EIO if the host did not accept it on some CPU. May sleep.
    Result<void> write(const PollControlWrite& wanted);
    Result<void> set_allowed(bool allowed) { return write({std::nullopt, allowed}); }
    // Whether polling is allowed on every online CPU now.
    bool is_allowed() const;

    // Starts or stops to count and time wake-ups. -EINVAL if not started, or the error of
    // wakeup_accounts::set_on(). May sleep.
    Result<void> set_accounting(bool on);

    // CPU hotplug, see linux_hotplug_enable().
    Result<void> online_cpu(u32 cpu);
    void down_cpu(u32 cpu);

    // On the only CPU that is online around suspend, with interrupts off. The kernel saves this
    // CPU's MSR before sleep and restores it afterwards. So the MSR has to hold the value from
    // before us.
    void suspend(u32 cpu) { give_back(cpu); }
    void resume(u32 cpu) { take(cpu); }
    // A kernel that is started by kexec finds the MSRs as we leave them, so they are put back.
    void restart();

    struct State {
        bool started;
        bool accounting;
        bool ipis_are_timed;
        bool driver_is_active;
        u32 cpus;
        u32 set_cpus;  // how many of these have an MSR that we have set
        u32 failures;
        u64 counted_since_ns;  // CLOCK_MONOTONIC; 0: never
    };
    State state() const;

    struct OfCpu {
        u32 cpu;
        Result<u64> msr;
        kvmpv_value value;
        std::optional<Wakeups::Counts> wakeups;
    };
    // Calls row(const OfCpu&) for each online CPU. An OfCpu is read on its CPU, at one moment.
    // Takes the hotplug lock; may sleep.
    template <class Row>
    void for_each_cpu(Row&& row) const {
        if (!started_) return;
        const CpusLock lock;
        for (const u32 cpu : online_cpus()) {
            OfCpu of{cpu, u64{0}, {}, {}};
            on_cpu(cpu, [&](u32) { look(of); });
            row(of);
        }
    }

private:
    static ValueSlot<PollControlLayout>& slot() { return slots.poll_control; }
    static void take(u32 cpu);
    static void give_back(u32 cpu);
    static void look(OfCpu& of);
    Result<void> set(const PollControlWrite& wanted);
    void count_anew();

    bool started_ = false;
    u64 counted_since_ns_ = 0;
};

extern constinit HaltPoll halt_poll;

}  // namespace kvmpv
