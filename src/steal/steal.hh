// SPDX-License-Identifier: GPL-2.0-only
//
// Steal time: whose records are read, and when the kernel's accounting asks us instead of its own
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

// Where the kernel registers no steal time, nothing in its scheduler asks for it by itself.
struct StealAccounting {
    static int start() { return linux_steal_accounting_start(); }
    static void stop() { linux_steal_accounting_stop(); }
};

class Steal {
public:
    // For mode kShared or kOwned: gives every CPU its record, and has the kernel ask us.
    Result<void> start(const kvmpv_parameters& parameters);

    // Waits until nobody sits on top of our hook, then takes everything back.
    void stop();

    // The kernel's accounting asks us from now on, or no more. -EBUSY while somebody else sits on
    // top of us, -ENOENT if the kernel's symbols were not found, -EINVAL while not enabled.
    Result<void> set_hooked(bool hooked);

    // What is stolen is charged to tasks from now on, or no more. -EINVAL while not enabled.
    Result<void> set_attribution(bool on);

    // CPU hotplug, see linux_hotplug_enable(). A CPU without a record has a clock that stands
    // still.
    Result<void> online_cpu(u32 cpu);
    void down_cpu(u32 cpu);

    // Around suspend, on the only CPU up; before a restart. As for the clock.
    void suspend(u32 cpu);
    void resume(u32 cpu);
    void restart();

    // Once a second, on the CPU, under EventsLock: tells the events of steps.
    void sample(u32 cpu);

    // Forgets bursts and what else is counted from the last reset on. -EINVAL while not enabled.
    Result<void> reset();

    bool owned() const { return slots_->decision().mode == Mode::kOwned; }
    bool enabled() const { return enabled_; }
    bool hooked() const { return hook_.hooked(); }

    struct State {
        bool enabled;
        bool hooked;
        bool was_hooked;  // at any time since load
        bool on_top;
        char target[64];  // whom the kernel asks
        // Whether its accounting, and its run queues, ask at all.
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
    // row(cpu, const OfCpu&) for each online CPU, whose clock is brought up to date and copied on
    // that CPU, where nothing can change meanwhile.
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
