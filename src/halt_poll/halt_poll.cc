// SPDX-License-Identifier: GPL-2.0-only

#include "halt_poll/halt_poll.hh"

#include "base/followers.hh"
#include "base/irqs.hh"
#include "base/log.hh"
#include "base/mutex.hh"

namespace kvmpv {

constinit HaltPoll halt_poll;

Result<void> HaltPoll::start(const kvmpv_parameters& parameters) {
    const Result<void> followed = follow_cpus(KVMPV_HALT_POLL);
    started_ = followed.ok();
    if (!started_) return followed;
    if (parameters.switches[KVMPV_HALT_POLL_ACCOUNTING])
        if (const Result<void> counts = set_accounting(true); !counts.ok())
            log_error("halt_poll: wake-ups cannot be counted", counts.error());
    const int asked = parameters.switches[KVMPV_HALT_POLLING];
    if (asked >= 0)
        if (const Result<void> set = set_allowed(asked); !set.ok())
            log_error("halt_poll: the parameter could not be applied", set.error());
    return {};
}

void HaltPoll::stop() {
    if (!started_) return;
    static_cast<void>(set_accounting(false));
    leave_cpus(KVMPV_HALT_POLL);
    started_ = false;
    wakeup_accounts::destroy();
}

Result<void> HaltPoll::write(const PollControlWrite& wanted) {
    const MutexLock lock(KVMPV_MUTEX_HALT_POLL);
    if (!started_) return Error(-kEinval);
    if (haltpoll_driver_is_active()) return Error(-kEbusy);
    const CpusLock cpus_lock;
    if (wanted.cpu && !is_online(*wanted.cpu)) return Error(-kEnodev);
    const Result<void> done = set(wanted);
    count_anew();
    return done;
}

// Under CpusLock. One CPU that fails does not keep the others from being set.
Result<void> HaltPoll::set(const PollControlWrite& wanted) {
    const u64 value = wanted.allowed ? kPollControlAllowed : 0;
    const auto set_here = [value](u32 cpu) {
        slot().want(cpu, value);
        return slot().set_wanted(cpu).ok();
    };
    bool all_set = true;
    if (wanted.cpu) {
        on_cpu(*wanted.cpu, [&](u32 cpu) { all_set = set_here(cpu); });
    } else {
        on_each_cpu([&](u32 cpu) {
            if (!set_here(cpu)) __atomic_store_n(&all_set, false, __ATOMIC_RELAXED);
        });
        for_each_offline_cpu([&](u32 cpu) { slot().want(cpu, value); });
    }
    return all_set ? Result<void>() : Error(-kEio);
}

// Under CpusLock.
void HaltPoll::count_anew() {
    if (wakeup_accounts::is_on()) wakeup_accounts::forget_all();
    counted_since_ns_ = linux_monotonic_ns();
}

bool HaltPoll::is_allowed() const {
    if (!started_) return false;
    const CpusLock lock;
    for (const u32 cpu : online_cpus()) {
        const Result<u64> msr = LiveKernel::rdmsr(cpu, slot().msr());
        if (!msr.ok() || !(msr.value() & kPollControlAllowed)) return false;
    }
    return true;
}

Result<void> HaltPoll::set_accounting(bool on) {
    const MutexLock lock(KVMPV_MUTEX_HALT_POLL);
    if (!started_) return Error(-kEinval);
    if (on && !wakeup_accounts::is_on()) counted_since_ns_ = linux_monotonic_ns();
    return wakeup_accounts::set_on(on);
}

// Even a CPU whose MSR cannot be set comes online.
Result<void> HaltPoll::online_cpu(u32 cpu) {
    if (const Result<void> counts = wakeup_accounts::online_cpu(cpu); !counts.ok())
        log_cpu_error("halt_poll", "wake-ups cannot be counted", cpu, counts.error());
    const IrqsOff irqs_off;
    take(cpu);
    return {};
}

void HaltPoll::down_cpu(u32 cpu) {
    const IrqsOff irqs_off;
    give_back(cpu);
}

// On the CPU; interrupts off. An error is logged.
void HaltPoll::take(u32 cpu) {
    if (!haltpoll_driver_is_active()) static_cast<void>(slot().set_wanted(cpu));
}

// On the CPU; interrupts off. If the driver has become active since, the MSR is the driver's, even
// if it still holds the value that we have set.
void HaltPoll::give_back(u32 cpu) {
    if (haltpoll_driver_is_active())
        slot().let_go(cpu);
    else
        slot().put_back(cpu);
}

void HaltPoll::restart() {
    if (started_) on_each_cpu(give_back);
}

void HaltPoll::look(OfCpu& of) {
    of.msr = LiveKernel::rdmsr_here(slot().msr());
    of.value = slot().of(of.cpu);
    of.wakeups = wakeup_accounts::counts_of(of.cpu);
}

HaltPoll::State HaltPoll::state() const {
    State now{};
    now.started = started_;
    if (!started_) return now;
    now.accounting = wakeup_accounts::is_on();
    now.ipis_are_timed = wakeup_accounts::ipis_are_timed();
    now.driver_is_active = haltpoll_driver_is_active();
    now.failures = slot().failures();
    now.counted_since_ns = counted_since_ns_;
    const CpusLock lock;
    for (const u32 cpu : online_cpus()) {
        ++now.cpus;
        if (slot().of(cpu).is_held) ++now.set_cpus;
    }
    return now;
}

}  // namespace kvmpv
