// SPDX-License-Identifier: GPL-2.0-only
//
// PV EOI: whose words the callback clears, when it is hooked, and what it has counted.

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
    // For mode kShared or kOwned. With eoi_hook=0 everything is ready for set_hooked() and nothing
    // is hooked.
    Result<void> start(const kvmpv_parameters& parameters);

    // Waits until nobody sits on top any more, then takes everything back.
    void stop();

    // Hooks the callback, then, in owned mode, registers the words; counts from 0. Or the reverse:
    // -EBUSY, and nothing is changed, while somebody else sits on top. -EINVAL while not started.
    Result<void> set_hooked(bool hooked);

    // CPU hotplug, see linux_hotplug_enable(); owned mode only. The word of a CPU whose slot could
    // not be taken stays 0, so that it writes every EOI.
    Result<void> online_cpu(u32 cpu);
    void down_cpu(u32 cpu);

    // The slot of the last CPU that is up around suspend, every CPU's before a restart.
    void suspend(u32 cpu);
    void resume(u32 cpu);
    void restart();

    bool owned() const { return slots_->decision().mode == Mode::kOwned; }
    bool hooked() const { return hook_.hooked(); }

    struct State {
        bool hooked;
        char above[80];      // who sits on top of our callback; empty: nobody
        u32 words_left_set;  // by the host, when they were taken away from it
        EoiCounts counts;    // of all CPUs
    };
    State state() const;

    struct OfCpu {
        u32 cpu;
        EoiCounts counts;
        WhyFew why_few;
    };
    // row(const OfCpu&) for each online CPU, while the callback is hooked.
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
    // Owned mode: CPUs are followed, their words are registered.
    bool registered_ = false;
    u32 words_left_set_ = 0;
};

extern constinit Eoi eoi;

}  // namespace kvmpv
