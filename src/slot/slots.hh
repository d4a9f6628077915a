// SPDX-License-Identifier: GPL-2.0-only
//
// What the host offers this guest and what its kernel has made of it, found once at load.

#pragma once

#include "slot/registration.hh"

namespace kvmpv {

// The clock's slot: the kernel uses it if it holds the address of the record that the exported
// hv_clock_per_cpu names for that CPU. Our records are each on a cache line of its own, in the
// layout of the kernel's struct pvclock_vsyscall_time_info, so that its hv_clock_per_cpu can name
// them. CPU 0's page is what user space may be given to read.
struct ClockLayout {
    static constexpr u32 kIndex = 0;
    static constexpr u64 kAddressMask = kSystemTimeAddressMask;
    static constexpr u32 kStride = 64;
    static constexpr bool kCpu0HasAPageOfItsOwn = true;
    static std::optional<Msr> msr(const KvmCpuid& kvm);
    static Use use(u32 cpu, u64 msr_value);
};

static_assert(sizeof(PvclockVcpuTimeInfo) <= ClockLayout::kStride);

// Steal time: the kernel uses it if its scheduler asks kvm_steal_clock. Each record is on a cache
// line of its own, which the host's rules for the MSR ask for anyway.
struct StealLayout {
    static constexpr u32 kIndex = 1;
    static constexpr u64 kAddressMask = kStealTimeAddressMask;
    static constexpr u32 kStride = sizeof(KvmStealTime);
    static constexpr bool kCpu0HasAPageOfItsOwn = false;
    static std::optional<Msr> msr(const KvmCpuid& kvm);
    static Use use(u32 cpu, u64 msr_value);
};

static_assert((kStealTimeAddressMask | (StealLayout::kStride - 1)) == ~u64{0});

// PV EOI: the kernel uses it if the APIC driver's callback is kvm_guest_apic_eoi_write. A cache
// line for each word: a CPU that ends an interrupt does not wait for another one's.
struct EoiLayout {
    static constexpr u32 kIndex = 2;
    static constexpr u64 kAddressMask = kEoiAddressMask;
    static constexpr u32 kStride = 64;
    static constexpr bool kCpu0HasAPageOfItsOwn = false;
    static std::optional<Msr> msr(const KvmCpuid& kvm);
    static Use use(u32 cpu, u64 msr_value);
};

static_assert(sizeof(KvmPvEoi) <= EoiLayout::kStride);

struct Slots {
    KvmCpuid kvm;
    // As if the host offered the clock's deprecated MSRs only, where these are asked for.
    KvmCpuid kvm_for_clock;
    Registration<ClockLayout> clock;
    Registration<StealLayout> steal;
    Registration<EoiLayout> eoi;
    SlotState async_pf{Decision{Mode::kOff, Reason::kNeverTaken}};

    // Fills everything in; -ENODEV off KVM. Reads MSRs on every online CPU, writes none.
    // `legacy`: prefer the deprecated clock MSRs where they are offered.
    Result<void> take(bool clock_wanted, bool legacy);
};

// The one of this module.
extern constinit Slots slots;

}  // namespace kvmpv
