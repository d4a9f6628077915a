// SPDX-License-Identifier: GPL-2.0-only
//
// What the host offers this guest and what the guest's kernel uses of it. Determined once, at load.

#pragma once

#include "slot/registration.hh"
#include "slot/value_slot.hh"

namespace kvmpv {

// The clock's slot. The kernel uses it if it holds the address of the record that the exported
// hv_clock_per_cpu points at for that CPU. Each of our records has a cache line of its own, in the
// layout of struct pvclock_vsyscall_time_info, so that hv_clock_per_cpu can point at it. CPU 0's
// record has a page of its own, because user space may be allowed to read that page.
struct ClockLayout {
    static constexpr u32 kIndex = 0;
    static constexpr u64 kAddressMask = kSystemTimeAddressMask;
    static constexpr u32 kStride = 64;
    static constexpr bool kCpu0HasAPageOfItsOwn = true;
    static std::optional<Msr> msr(const KvmCpuid& kvm);
    static Use use(u32 cpu, u64 msr_value);
};

static_assert(sizeof(PvclockVcpuTimeInfo) <= ClockLayout::kStride);

// Steal time. The kernel uses the slot if its scheduler calls kvm_steal_clock. Each record has a
// cache line of its own, which the MSR's alignment requires anyway.
struct StealLayout {
    static constexpr u32 kIndex = 1;
    static constexpr u64 kAddressMask = kStealTimeAddressMask;
    static constexpr u32 kStride = sizeof(KvmStealTime);
    static constexpr bool kCpu0HasAPageOfItsOwn = false;
    static std::optional<Msr> msr(const KvmCpuid& kvm);
    static Use use(u32 cpu, u64 msr_value);
};

static_assert((kStealTimeAddressMask | (StealLayout::kStride - 1)) == ~u64{0});

// PV EOI. The kernel uses the slot if the APIC driver's callback is kvm_guest_apic_eoi_write. Each
// word has a cache line of its own, so that a CPU that ends an interrupt does not wait for another
// one.
struct EoiLayout {
    static constexpr u32 kIndex = 2;
    static constexpr u64 kAddressMask = kEoiAddressMask;
    static constexpr u32 kStride = 64;
    static constexpr bool kCpu0HasAPageOfItsOwn = false;
    static std::optional<Msr> msr(const KvmCpuid& kvm);
    static Use use(u32 cpu, u64 msr_value);
};

static_assert(sizeof(KvmPvEoi) <= EoiLayout::kStride);

// Whether the host may poll when a CPU halts.
struct PollControlLayout {
    static constexpr u32 kIndex = 0;
    static std::optional<Msr> msr(const KvmCpuid& kvm);
};

// Async page faults. The kernel uses the slot if it holds the address of its own record. Nobody
// else can: what the host injects is a page fault, which only the kernel's entry code handles.
struct AsyncPfLayout {
    static std::optional<Msr> msr(const KvmCpuid& kvm);
    static Use use(u32 cpu, u64 msr_value);
};

// Whether the host may move the guest.
struct MigrationControlLayout {
    static constexpr u32 kIndex = 0;
    static std::optional<Msr> msr(const KvmCpuid& kvm);
};

// A value of the whole guest: there is one of it, whichever CPU sets it.
struct GuestValueKernel : LiveValueKernel {
    static kvmpv_value& value(u32 cpu, u32 index);
};

struct Slots {
    KvmCpuid kvm;
    // What the clock goes by: `kvm`, but with legacy=1 as if the host offered only the deprecated
    // clock MSRs, if it offers these.
    KvmCpuid kvm_for_clock;
    Registration<ClockLayout> clock;
    Registration<StealLayout> steal;
    Registration<EoiLayout> eoi;
    ValueSlot<PollControlLayout> poll_control{"halt_poll"};
    KernelsRegistration<AsyncPfLayout> async_pf;
    ValueSlot<MigrationControlLayout, GuestValueKernel> migration_control{"migration"};

    // Fills everything in. -ENODEV if this is no KVM guest. Reads MSRs on every online CPU and
    // writes none. Takes the hotplug lock; may sleep. `clock_wanted`: no parameter disables the
    // clock. `legacy`: prefer the deprecated clock MSRs if they are offered.
    Result<void> take(bool clock_wanted, bool legacy);
};

// The kernel's cpuidle driver "haltpoll" polls in the guest, and has set the MSR of every CPU to 0.
// Any context.
bool haltpoll_driver_is_active();

// The module's only instance.
extern constinit Slots slots;

}  // namespace kvmpv
