// SPDX-License-Identifier: GPL-2.0-only
//
// Steal time: which records are read, and when the kernel's accounting asks us instead of its own
// steal clock.

#pragma once

#include "base/cpus.hh"
#include "kvmpv/abi.hh"
#include "kvmpv/result.hh"
#include "slot/hook.hh"
#include "slot/owned_slots.hh"
#include "slot/slots.hh"
#include "steal/steal_clock.hh"

namespace kvmpv {

// If the kernel registers no steal time, its scheduler does not ask for it either until these have
// been started.
struct StealAccounting {
    static int start() { return linux_steal_accounting_start(); }
    static void stop() { linux_steal_accounting_stop(); }
};

class Steal {
public:
    // For mode kShared or kOwned: gives every CPU its record and, unless steal_hook=0, has the
    // kernel ask us. After an error the caller calls stop(). May sleep.
    Result<void> start(const kvmpv_parameters& parameters);

    // Sleeps until no other hook is on top of ours, then undoes everything.
    void stop();

    // true: the kernel's accounting asks us from now on; false: it no longer does. -EBUSY while
    // another hook is on top of ours, -ENOENT if the kernel's symbols were not found, -EINVAL if
    // not enabled. May sleep.
    Result<void> set_hooked(bool hooked);

    // true: stolen time is charged to tasks from now on; false: it no longer is. -EINVAL if not
    // enabled, or the error of steal_tasks::set_on(). May sleep.
    Result<void> set_attribution(bool on);

    // CPU hotplug, see linux_hotplug_enable(). The clock of a CPU without a record stands still.
    Result<void> online_cpu(u32 cpu);
    void down_cpu(u32 cpu);

    // suspend() and resume() run on the only CPU that is online around suspend, with interrupts
    // off; restart() before a restart. The reasons are those of Clock.
    void suspend(u32 cpu);
    void resume(u32 cpu);
    void restart();

    // Called once a second, on `cpu`, under EventsLock. Looks at the record if the kernel does not
    // ask us. Adds an event for each direction in which the record has stepped since the last call.
    void sample(u32 cpu);

    // Forgets the bursts, and whatever else is counted since the last reset. -EINVAL if not
    // enabled. May sleep.
    Result<void> reset();

    bool owned() const { return slots_->decision().mode == Mode::kOwned; }
    bool enabled() const { return enabled_; }
    bool hooked() const { return hook_.hooked(); }

    struct State {
        bool enabled;
        bool hooked;
        bool was_hooked;  // at any time since load
        bool on_top;
        char target[64];  // the function that the kernel asks
        // Whether the kernel's accounting, and its run queues, ask at all.
        bool accounting;
        bool run_queues;
        bool attribution;
        u64 reset_time_ns;  // CLOCK_MONOTONIC of the last reset(); 0 if there was none
    };
    State state() const;

    struct OfCpu {
        steal_clock::CpuState state;
        u64 accounted_ns;  // by the kernel
    };
    // Calls row(cpu, const OfCpu&) for each online CPU. The CPU's clock is brought up to date and
    // copied on that CPU with interrupts off, so that nothing changes meanwhile. Takes the hotplug
    // lock; may sleep.
    template <class Row>
    void for_each_cpu(Row&& row) {
        if (!enabled_) return;
        const CpusLock lock;
        read_preempted();
        for (const u32 cpu : online_cpus()) {
            OfCpu of;
            look_at(cpu, of);
            row(cpu, of);
        }
    }

private:
    Result<void> create(Slots& found);
    void destroy();
    Result<void> enable();
    void disable();
    void forget_all();
    static void read_preempted();
    static void look_at(u32 cpu, OfCpu& of);
    KvmStealTime* record_of(u32 cpu) const;
    Result<void> register_cpu(u32 cpu);
    Result<void> check_native_slot(u32 cpu);
    void begin_cpu(u32 cpu);
    void prepare_hook();
    void heal_all();
    void end_handover();
    Result<void> hook();
    Result<void> unhook();

    Registration<StealLayout>* slots_ = nullptr;
    SwitchedHook<Hook<StaticCallPlace<KVMPV_CALL_PV_STEAL_CLOCK>>, StealAccounting> hook_;
    OwnedSlots<StealLayout> owned_slots_{"steal"};
    u8* states_ = nullptr;  // of all possible CPUs, kStateStride apart
    bool enabled_ = false;
    bool was_hooked_ = false;
    u64 reset_time_ns_ = 0;
};

extern constinit Steal steal;

}  // namespace kvmpv
