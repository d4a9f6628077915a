// SPDX-License-Identifier: GPL-2.0-only
//
// PV EOI: whose words our callback clears, when the callback is hooked, and what it has counted.

#pragma once

#include "base/cpus.hh"
#include "kvmpv/pv_eoi.hh"
#include "slot/hook.hh"
#include "slot/owned_slots.hh"
#include "slot/slots.hh"

namespace kvmpv {

// Where the kernel finds its EOI callback.
struct EoiPlace {
    static const void* target() { return linux_eoi_callback(); }
    static int set(const void* callback) { return linux_eoi_callback_set(callback); }
};

class Eoi {
public:
    // For mode kShared or kOwned. With eoi_hook=0 it prepares everything for set_hooked() and hooks
    // nothing. After an error the caller calls stop().
    Result<void> start(const kvmpv_parameters& parameters);

    // Sleeps until no other hook is on top of ours, then undoes everything.
    void stop();

    // true: hooks the callback, then registers the words (owned mode only), and counts from 0.
    // false: the reverse. -EBUSY, with nothing changed, while another hook is on top of ours.
    // -EINVAL if not started. May sleep.
    Result<void> set_hooked(bool hooked);

    // CPU hotplug, see linux_hotplug_enable(); owned mode only. If the slot of a CPU cannot be
    // taken, its word stays 0, so that the CPU writes every EOI.
    Result<void> online_cpu(u32 cpu);
    void down_cpu(u32 cpu);

    // suspend() and resume() handle the slot of the only CPU that is online around suspend, with
    // interrupts off. restart() clears every CPU's slot.
    void suspend(u32 cpu);
    void resume(u32 cpu);
    void restart();

    bool owned() const { return slots_->decision().mode == Mode::kOwned; }
    bool hooked() const { return hook_.hooked(); }

    struct State {
        bool hooked;
        char above[80];      // the function on top of our callback; empty if there is none
        u32 words_left_set;  // how often the bit was still set after the slot was given up
        EoiCounts counts;    // of all CPUs
    };
    State state() const;

    struct OfCpu {
        u32 cpu;
        EoiCounts counts;
        WhyFew why_few;
    };
    // Calls row(const OfCpu&) for each online CPU while the callback is hooked. Takes the hotplug
    // lock.
    template <class Row>
    void for_each_cpu(Row&& row) const {
        if (!hooked()) return;
        const CpusLock lock;
        for (const u32 cpu : online_cpus()) row(of_cpu(cpu));
    }

private:
    Result<void> create(Slots& found);
    void destroy();
    Result<void> enable();
    Result<void> disable();
    void leave();
    Result<void> create_words();
    Result<void> find_native_words();
    Result<void> check_native_word(u32 cpu);
    Result<void> register_words();
    void give_up(u32 cpu, bool for_good);
    EoiCounts counts(u32 cpu) const;
    OfCpu of_cpu(u32 cpu) const;

    Registration<EoiLayout>* slots_ = nullptr;
    Hook<EoiPlace> hook_;
    OwnedSlots<EoiLayout> owned_slots_{"eoi"};
    bool created_ = false;
    // Owned mode: the words are registered, and CPU hotplug is followed.
    bool registered_ = false;
    u32 words_left_set_ = 0;
};

extern constinit Eoi eoi;

}  // namespace kvmpv
