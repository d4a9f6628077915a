// SPDX-License-Identifier: GPL-2.0-only
//
// What the host offers this guest and what its kernel has made of it, found once at load.

#pragma once

#include "registration.hh"

namespace kvmpv {

// The clock's slot: the kernel uses it if it holds the address of the record that the exported
// hv_clock_per_cpu names for that CPU.
struct ClockLayout {
    static constexpr u32 kIndex = 0;
    static constexpr u64 kAddressMask = kSystemTimeAddressMask;
    static std::optional<Msr> msr(const KvmCpuid& kvm);
    static Use use(u32 cpu, u64 msr_value);
};

// Steal time: the kernel uses it if its scheduler asks kvm_steal_clock.
struct StealLayout {
    static constexpr u32 kIndex = 1;
    static constexpr u64 kAddressMask = kStealTimeAddressMask;
    static std::optional<Msr> msr(const KvmCpuid& kvm);
    static Use use(u32 cpu, u64 msr_value);
};

// PV EOI: the kernel uses it if the APIC driver's callback is kvm_guest_apic_eoi_write.
struct EoiLayout {
    static constexpr u32 kIndex = 2;
    static constexpr u64 kAddressMask = kEoiAddressMask;
    static std::optional<Msr> msr(const KvmCpuid& kvm);
    static Use use(u32 cpu, u64 msr_value);
};

struct Slots {
    KvmCpuid kvm;
    // As if the host offered the clock's deprecated MSRs only, where these are asked for.
    KvmCpuid kvm_for_clock;
    Registration<ClockLayout> clock;
    Registration<StealLayout> steal;
    Registration<EoiLayout> eoi;

    // Fills everything in; -ENODEV off KVM. Reads MSRs on every online CPU, writes none.
    // `legacy`: prefer the deprecated clock MSRs where they are offered.
    Result<void> take(bool clock_wanted, bool legacy);
};

// The one of this module.
extern constinit Slots slots;

}  // namespace kvmpv
