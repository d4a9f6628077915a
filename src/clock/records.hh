// SPDX-License-Identifier: GPL-2.0-only
//
// Which clock record each CPU reads, in each mode, and through CPU hotplug and suspend.

#pragma once

#include "kvmpv/clock_alone.hh"
#include "kvmpv/pvclock.hh"
#include "kvmpv/result.hh"
#include "slot/owned_slots.hh"
#include "slot/slots.hh"

namespace kvmpv {

class ClockRecords {
public:
    // For mode kShared or kOwned. Allocates the records of owned mode, and changes nothing in the
    // kernel. After an error the caller calls destroy(). May sleep.
    Result<void> create(Registration<ClockLayout>& registration);
    void destroy() { owned_slots_.destroy(); }

    bool owned() const { return registration_->decision().mode == Mode::kOwned; }
    bool uses_deprecated_msr() const {
        return owned() && registration_->msr() == Msr::KVM_SYSTEM_TIME;
    }

    // The record that belongs to this CPU, whether or not it reads that one now. Any context.
    const PvclockVcpuTimeInfo* of(u32 cpu) const;

    // CPU hotplug, see linux_hotplug_enable().
    void prepare_cpu(u32 cpu);
    Result<void> online_cpu(u32 cpu);
    void down_cpu(u32 cpu);
    void dead_cpu(u32 cpu);
    // Every CPU has gone down for good.
    void leave();

    // Owned mode; otherwise they do nothing. See OwnedSlots. `record` is what a look has found in
    // this CPU's record, and the clock shows `shown_ns`.
    void suspend(u32 cpu, const ClockSample& record, u64 shown_ns);
    void resume(u32 cpu);
    void restart();

    // Owned mode: at the wake-up the host has refused the CPU's slot. Until the next one no CPU
    // takes its slot, and every CPU reads a record that we write. Any context.
    bool alone() const { return alone_.is_on(); }

    // On every possible CPU the kernel's pointer names our record, or will name it.
    bool named_by_kernel() const;

    // Owned mode: the page of CPU 0's record. Once kept it is never freed, because user space may
    // have it mapped.
    const void* cpu0_page() const { return owned_slots_.cpu0_page(); }
    void keep_cpu0_page() { owned_slots_.keep_cpu0(); }
    bool cpu0_page_is_kept() const { return owned_slots_.cpu0_is_kept(); }

private:
    Result<void> take_slot(u32 cpu);
    bool go_on_alone(u32 cpu);
    void write_record(u32 cpu);
    void let_everyone_read(u32 cpu, bool has_record);
    void publish(u32 cpu, const void* record);
    void choose_fallbacks(s32 except_cpu);
    const void* kept_page() const { return cpu0_page_is_kept() ? cpu0_page() : nullptr; }

    Registration<ClockLayout>* registration_ = nullptr;
    OwnedSlots<ClockLayout> owned_slots_{"clock"};
    ClockAlone alone_;
};

}  // namespace kvmpv
