// SPDX-License-Identifier: GPL-2.0-only
//
// Halt polling: before the host takes a halted vCPU off its CPU, it may poll for a while whether
// the vCPU has something to do. That makes wake-ups quicker, and takes time of the host's CPU. The
// guest may forbid it, for each CPU.

#pragma once

#include "base/cpus.hh"
#include "halt_poll/wakeup_accounts.hh"
#include "kvmpv/poll_control.hh"
#include "slot/slots.hh"

namespace kvmpv {

class HaltPoll {
public:
    // For mode kShared or kOwned. Does what the parameters halt_poll and halt_poll_accounting say;
    // if that fails it is logged, and the rest works. After an error the caller calls stop().
    Result<void> start(const kvmpv_parameters& parameters);

    // Puts the MSR of every CPU back.
    void stop();

    // Sets the MSR of one CPU, or of all. A CPU that comes online later is set, too. Then counts
    // wake-ups from 0. -EBUSY while the driver haltpoll sets it, -ENODEV if the CPU is not online,
    // -EINVAL if not started, -EIO if the host did not take it on some CPU. May sleep.
    Result<void> write(const PollControlWrite& wanted);
    Result<void> set_allowed(bool allowed) { return write({std::nullopt, allowed}); }
    // Every CPU that is online has polling allowed now.
    bool is_allowed() const;

    // Counts and times wake-ups, or no longer does. -EINVAL if not started, or the error of
    // wakeup_accounts::set_on(). May sleep.
    Result<void> set_accounting(bool on);

    // CPU hotplug, see linux_hotplug_enable().
    Result<void> online_cpu(u32 cpu);
    void down_cpu(u32 cpu);

    // On the only CPU that is online around suspend, with interrupts off. The kernel saves and
    // restores what this CPU's MSR holds while it sleeps, so it shall see what was there before us.
    void suspend(u32 cpu) { give_back(cpu); }
    void resume(u32 cpu) { take(cpu); }
    // A kernel that is started by kexec finds the MSRs as we leave them.
    void restart();

    struct State {
        bool started;
        bool accounting;
        bool ipis_are_timed;
        bool driver_is_active;
        u32 cpus;
        u32 set_cpus;  // of these, those whose MSR holds what was asked for
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
    // Calls row(const OfCpu&) for each online CPU. What is handed over was taken on that CPU, at
    // one moment. Takes the hotplug lock; may sleep.
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
