// SPDX-License-Identifier: GPL-2.0-only
//
// Is this a KVM guest, and what does the host offer? This is our own CPUID scan, because the kernel
// exports only part of what it found, and with `nopv` it looks for nothing although KVM is there.
// Source: Documentation/virt/kvm/x86/cpuid.rst; msr.rst, "suggested algorithm".

#pragma once

#include "kvmpv/abi.hh"

namespace kvmpv {

struct CpuidRegisters {
    u32 eax;
    u32 ebx;
    u32 ecx;
    u32 edx;
};

// Executes CPUID for a leaf (subleaf 0), or plays a CPU in a test.
template <class T>
concept CpuidReader = requires(T& cpuid, u32 leaf) {
    { cpuid(leaf) } -> std::same_as<CpuidRegisters>;
};

// The leaf where KVM's leaves begin, and what leaf base + 1 says.
struct KvmCpuid {
    u32 base = 0;      // the leaf that carries the signature
    u32 features = 0;  // EAX, see Feature
    u32 hints = 0;     // EDX, see Hint

    constexpr bool has(Feature feature) const {
        return ((features >> static_cast<unsigned>(feature)) & 1) != 0;
    }
    constexpr bool has(Hint hint) const {
        return ((hints >> static_cast<unsigned>(hint)) & 1) != 0;
    }
};

// Scans 0x40000000, 0x40000100 ... 0x4000ff00, because KVM's leaves move up when the host also
// presents another hypervisor's interface. Nothing if KVM is not there. Any context; up to 258
// CPUID instructions, each of which is an exit in a guest.
template <CpuidReader Cpuid>
constexpr std::optional<KvmCpuid> find_kvm(Cpuid&& cpuid) {
    // Without a hypervisor these leaves return what the highest basic leaf holds.
    if (!(cpuid(1).ecx & kCpuidHypervisorPresent)) return std::nullopt;

    for (u32 base = kCpuidBaseFirst; base <= kCpuidBaseLast; base += kCpuidBaseStep) {
        const CpuidRegisters id = cpuid(base);
        if (id.ebx != kKvmSignatureEbx || id.ecx != kKvmSignatureEcx || id.edx != kKvmSignatureEdx)
            continue;
        // EAX is the highest leaf. Old hosts leave 0 there and mean base + 1 (cpuid.rst).
        if (id.eax != 0 && id.eax < base + kCpuidFeaturesOffset) return KvmCpuid{base, 0, 0};
        const CpuidRegisters leaf = cpuid(base + kCpuidFeaturesOffset);
        return KvmCpuid{base, leaf.eax, leaf.edx};
    }
    return std::nullopt;
}

struct ClockMsrs {
    Msr system_time;
    Msr wall_clock;
};

// Which pair of clock MSRs to use, by the document's algorithm. Its "flags & 3" and "flags & 0"
// mean the bits 1 << 3 and 1 << 0. Nothing if the host offers neither pair.
constexpr std::optional<ClockMsrs> clock_msrs(const KvmCpuid& kvm) {
    if (kvm.has(Feature::KVM_FEATURE_CLOCKSOURCE2))
        return ClockMsrs{Msr::KVM_SYSTEM_TIME_NEW, Msr::KVM_WALL_CLOCK_NEW};
    if (kvm.has(Feature::KVM_FEATURE_CLOCKSOURCE))
        return ClockMsrs{Msr::KVM_SYSTEM_TIME, Msr::KVM_WALL_CLOCK};
    return std::nullopt;
}

struct FeatureName {
    Feature bit;
    const char* name;
};

inline constexpr FeatureName kFeatureNames[] = {
    {Feature::KVM_FEATURE_CLOCKSOURCE, "KVM_FEATURE_CLOCKSOURCE"},
    {Feature::KVM_FEATURE_NOP_IO_DELAY, "KVM_FEATURE_NOP_IO_DELAY"},
    {Feature::KVM_FEATURE_MMU_OP, "KVM_FEATURE_MMU_OP"},
    {Feature::KVM_FEATURE_CLOCKSOURCE2, "KVM_FEATURE_CLOCKSOURCE2"},
    {Feature::KVM_FEATURE_ASYNC_PF, "KVM_FEATURE_ASYNC_PF"},
    {Feature::KVM_FEATURE_STEAL_TIME, "KVM_FEATURE_STEAL_TIME"},
    {Feature::KVM_FEATURE_PV_EOI, "KVM_FEATURE_PV_EOI"},
    {Feature::KVM_FEATURE_PV_UNHALT, "KVM_FEATURE_PV_UNHALT"},
    {Feature::KVM_FEATURE_PV_TLB_FLUSH, "KVM_FEATURE_PV_TLB_FLUSH"},
    {Feature::KVM_FEATURE_ASYNC_PF_VMEXIT, "KVM_FEATURE_ASYNC_PF_VMEXIT"},
    {Feature::KVM_FEATURE_PV_SEND_IPI, "KVM_FEATURE_PV_SEND_IPI"},
    {Feature::KVM_FEATURE_POLL_CONTROL, "KVM_FEATURE_POLL_CONTROL"},
    {Feature::KVM_FEATURE_PV_SCHED_YIELD, "KVM_FEATURE_PV_SCHED_YIELD"},
    {Feature::KVM_FEATURE_ASYNC_PF_INT, "KVM_FEATURE_ASYNC_PF_INT"},
    {Feature::KVM_FEATURE_MSI_EXT_DEST_ID, "KVM_FEATURE_MSI_EXT_DEST_ID"},
    {Feature::KVM_FEATURE_HC_MAP_GPA_RANGE, "KVM_FEATURE_HC_MAP_GPA_RANGE"},
    {Feature::KVM_FEATURE_MIGRATION_CONTROL, "KVM_FEATURE_MIGRATION_CONTROL"},
    {Feature::KVM_FEATURE_CLOCKSOURCE_STABLE_BIT, "KVM_FEATURE_CLOCKSOURCE_STABLE_BIT"},
};

struct HintName {
    Hint bit;
    const char* name;
};

inline constexpr HintName kHintNames[] = {
    {Hint::KVM_HINTS_REALTIME, "KVM_HINTS_REALTIME"},
};

// The bits that have a name. A host that sets others offers something newer than this table.
constexpr u32 named_feature_bits() {
    u32 bits = 0;
    for (const FeatureName& feature : kFeatureNames)
        bits |= u32{1} << static_cast<unsigned>(feature.bit);
    return bits;
}

constexpr u32 named_hint_bits() {
    u32 bits = 0;
    for (const HintName& hint : kHintNames) bits |= u32{1} << static_cast<unsigned>(hint.bit);
    return bits;
}

struct HypercallName {
    Hypercall number;
    const char* name;
    // Nothing if CPUID does not tell: the host always has it, or the answer to it says.
    std::optional<Feature> offered_by;
};

// Those that hypercalls.rst has for x86.
inline constexpr HypercallName kHypercallNames[] = {
    {Hypercall::KVM_HC_VAPIC_POLL_IRQ, "KVM_HC_VAPIC_POLL_IRQ", std::nullopt},
    {Hypercall::KVM_HC_MMU_OP, "KVM_HC_MMU_OP", Feature::KVM_FEATURE_MMU_OP},
    {Hypercall::KVM_HC_KICK_CPU, "KVM_HC_KICK_CPU", Feature::KVM_FEATURE_PV_UNHALT},
    {Hypercall::KVM_HC_CLOCK_PAIRING, "KVM_HC_CLOCK_PAIRING", std::nullopt},
    {Hypercall::KVM_HC_SEND_IPI, "KVM_HC_SEND_IPI", Feature::KVM_FEATURE_PV_SEND_IPI},
    {Hypercall::KVM_HC_SCHED_YIELD, "KVM_HC_SCHED_YIELD", Feature::KVM_FEATURE_PV_SCHED_YIELD},
    {Hypercall::KVM_HC_MAP_GPA_RANGE, "KVM_HC_MAP_GPA_RANGE",
     Feature::KVM_FEATURE_HC_MAP_GPA_RANGE},
};

// "" for a bit without a name.
constexpr const char* feature_name(Feature bit) {
    for (const FeatureName& feature : kFeatureNames)
        if (feature.bit == bit) return feature.name;
    return "";
}

}  // namespace kvmpv
