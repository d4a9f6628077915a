// SPDX-License-Identifier: GPL-2.0-only
//
// cpuid.hh: where KVM's leaves are, and what their bits are called. The expected bit numbers are
// those of Documentation/virt/kvm/x86/cpuid.rst.

#include "kvmpv/cpuid.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

// A CPU that may say that a hypervisor is present, with the leaves of up to two hypervisors. Any
// other leaf returns what real CPUs return there: the highest basic leaf, which is not zero.
struct ScriptedCpuid {
    struct Hypervisor {
        u32 base;
        CpuidRegisters id;
        CpuidRegisters features;
    };

    bool hypervisor_present = true;
    Hypervisor hypervisors[2]{};
    mutable u32 leaves_read = 0;

    CpuidRegisters operator()(u32 leaf) const {
        ++leaves_read;
        if (leaf == 1)
            return {0x806f8, 0, hypervisor_present ? 0xffff'ffff : 0x7fff'ffff, 0xffff'ffff};
        for (const Hypervisor& one : hypervisors) {
            if (one.base && leaf == one.base) return one.id;
            if (one.base && leaf == one.base + 1) return one.features;
        }
        return {7, 0x340, 0x340, 0};
    }
};

// "KVMKVMKVM\0\0\0", least significant byte first.
constexpr CpuidRegisters kvm_id(u32 highest_leaf) {
    return {highest_leaf, 'K' | 'V' << 8 | 'M' << 16 | 'K' << 24,
            'V' | 'M' << 8 | 'K' << 16 | 'V' << 24, 'M'};
}

// "Microsoft Hv". A KVM host presents it first if it is told to offer Hyper-V's interface.
constexpr CpuidRegisters kHyperV = {0x4000'0082, 'M' | 'i' << 8 | 'c' << 16 | 'r' << 24,
                                    'o' | 's' << 8 | 'o' << 16 | 'f' << 24,
                                    't' | ' ' << 8 | 'H' << 16 | 'v' << 24};

constexpr CpuidRegisters kSomeFeatures = {0x0100'7efb, 0xbbbb, 0xcccc, 1};

void expect_kvm(Test& test, const ScriptedCpuid& cpuid, u32 base, u32 features, u32 hints) {
    const std::optional<KvmCpuid> found = find_kvm(cpuid);
    if (!test.is_true("found", found.has_value())) return;
    test.equal("base", found->base, base);
    test.equal("features", found->features, features);
    test.equal("hints", found->hints, hints);
}

}  // namespace

KVMPV_TEST(cpuid, first_leaf) {
    Test test(handle);
    ScriptedCpuid cpuid;
    cpuid.hypervisors[0] = {0x4000'0000, kvm_id(0x4000'0001), kSomeFeatures};
    expect_kvm(test, cpuid, 0x4000'0000, 0x0100'7efb, 1);
    test.equal("leaves read", cpuid.leaves_read, 3);
}

KVMPV_TEST(cpuid, behind_another_hypervisor) {
    Test test(handle);
    ScriptedCpuid cpuid;
    cpuid.hypervisors[0] = {0x4000'0000, kHyperV, {0x3123'7648, 0, 0, 0}};
    cpuid.hypervisors[1] = {0x4000'0100, kvm_id(0x4000'0101), kSomeFeatures};
    expect_kvm(test, cpuid, 0x4000'0100, 0x0100'7efb, 1);
}

KVMPV_TEST(cpuid, last_leaf) {
    Test test(handle);
    ScriptedCpuid cpuid;
    cpuid.hypervisors[0] = {0x4000'ff00, kvm_id(0x4000'ff01), kSomeFeatures};
    expect_kvm(test, cpuid, 0x4000'ff00, 0x0100'7efb, 1);
}

KVMPV_TEST(cpuid, beyond_last_leaf) {
    Test test(handle);
    for (const u32 base : {0x4001'0000u, 0x4000'0080u, 0x3fff'ff00u}) {
        ScriptedCpuid cpuid;
        cpuid.hypervisors[0] = {base, kvm_id(base + 1), kSomeFeatures};
        test.is_false("found", find_kvm(cpuid).has_value());
        // Leaf 1 and one in every 0x100.
        test.equal("leaves read", cpuid.leaves_read, 257);
    }
}

KVMPV_TEST(cpuid, no_hypervisor_bit) {
    Test test(handle);
    ScriptedCpuid cpuid;
    cpuid.hypervisor_present = false;
    cpuid.hypervisors[0] = {0x4000'0000, kvm_id(0x4000'0001), kSomeFeatures};
    test.is_false("found", find_kvm(cpuid).has_value());
    test.equal("leaves read", cpuid.leaves_read, 1);
}

KVMPV_TEST(cpuid, signature_incomplete) {
    Test test(handle);
    u32 CpuidRegisters::*const kParts[] = {&CpuidRegisters::ebx, &CpuidRegisters::ecx,
                                           &CpuidRegisters::edx};
    for (u32 CpuidRegisters::*const part : kParts) {
        ScriptedCpuid cpuid;
        cpuid.hypervisors[0] = {0x4000'0000, kvm_id(0x4000'0001), kSomeFeatures};
        cpuid.hypervisors[0].id.*part ^= 0x0100;
        test.is_false("found", find_kvm(cpuid).has_value());
    }
}

KVMPV_TEST(cpuid, first_of_two) {
    Test test(handle);
    ScriptedCpuid cpuid;
    cpuid.hypervisors[0] = {0x4000'0200, kvm_id(0x4000'0201), {0x11, 0, 0, 0}};
    cpuid.hypervisors[1] = {0x4000'0100, kvm_id(0x4000'0101), {0x22, 0, 0, 1}};
    expect_kvm(test, cpuid, 0x4000'0100, 0x22, 1);
}

// "eax = 0 from old hosts: must be interpreted as base + 1."
KVMPV_TEST(cpuid, highest_leaf_of_zero) {
    Test test(handle);
    ScriptedCpuid cpuid;
    cpuid.hypervisors[0] = {0x4000'0000, kvm_id(0), kSomeFeatures};
    expect_kvm(test, cpuid, 0x4000'0000, 0x0100'7efb, 1);
}

KVMPV_TEST(cpuid, no_features_leaf) {
    Test test(handle);
    ScriptedCpuid cpuid;
    cpuid.hypervisors[0] = {0x4000'0100, kvm_id(0x4000'0100), kSomeFeatures};
    expect_kvm(test, cpuid, 0x4000'0100, 0, 0);
    cpuid.hypervisors[0].id.eax = 0x4000'0101;
    expect_kvm(test, cpuid, 0x4000'0100, 0x0100'7efb, 1);
    cpuid.hypervisors[0].id.eax = 0x4000'01ff;
    expect_kvm(test, cpuid, 0x4000'0100, 0x0100'7efb, 1);
}

namespace {

struct DocumentedBit {
    u32 bit;
    const char* name;
};

constexpr DocumentedBit kDocumentedFeatures[] = {
    {0, "KVM_FEATURE_CLOCKSOURCE"},
    {1, "KVM_FEATURE_NOP_IO_DELAY"},
    {2, "KVM_FEATURE_MMU_OP"},
    {3, "KVM_FEATURE_CLOCKSOURCE2"},
    {4, "KVM_FEATURE_ASYNC_PF"},
    {5, "KVM_FEATURE_STEAL_TIME"},
    {6, "KVM_FEATURE_PV_EOI"},
    {7, "KVM_FEATURE_PV_UNHALT"},
    {9, "KVM_FEATURE_PV_TLB_FLUSH"},
    {10, "KVM_FEATURE_ASYNC_PF_VMEXIT"},
    {11, "KVM_FEATURE_PV_SEND_IPI"},
    {12, "KVM_FEATURE_POLL_CONTROL"},
    {13, "KVM_FEATURE_PV_SCHED_YIELD"},
    {14, "KVM_FEATURE_ASYNC_PF_INT"},
    {15, "KVM_FEATURE_MSI_EXT_DEST_ID"},
    {16, "KVM_FEATURE_HC_MAP_GPA_RANGE"},
    {17, "KVM_FEATURE_MIGRATION_CONTROL"},
    {24, "KVM_FEATURE_CLOCKSOURCE_STABLE_BIT"},
};

}  // namespace

KVMPV_TEST(cpuid, every_feature_bit) {
    Test test(handle);
    for (u32 bit = 0; bit < 32; ++bit) {
        const KvmCpuid only{0x4000'0000, u32{1} << bit, 0};
        const KvmCpuid all_but{0x4000'0000, ~(u32{1} << bit), 0};
        for (const FeatureName& feature : kFeatureNames) {
            const bool same = static_cast<u32>(feature.bit) == bit;
            test.equal(feature.name, only.has(feature.bit), same);
            test.equal(feature.name, all_but.has(feature.bit), !same);
        }
    }
    test.is_true("hint 0", KvmCpuid{0, 0, 1}.has(Hint::KVM_HINTS_REALTIME));
    test.is_false("hint 0", KvmCpuid{0, ~u32{0}, ~u32{1}}.has(Hint::KVM_HINTS_REALTIME));
}

KVMPV_TEST(cpuid, feature_names) {
    Test test(handle);
    u32 at = 0;
    for (const FeatureName& feature : kFeatureNames) {
        const DocumentedBit& documented = kDocumentedFeatures[at++];
        test.equal("bit", static_cast<u32>(feature.bit), documented.bit);
        test.equal("name", feature.name, documented.name);
        test.equal("name of a bit", feature_name(feature.bit), documented.name);
    }
    test.equal("features", at, sizeof(kDocumentedFeatures) / sizeof(kDocumentedFeatures[0]));
    test.equal("a bit without a name", feature_name(static_cast<Feature>(31)), "");
    // Bits 0-7, 9-17 and 24.
    test.equal("bits that have a name", named_feature_bits(), 0x0103'feff);
    test.equal("hints that have a name", named_hint_bits(), 1);
    test.equal("name of hint 0", kHintNames[0].name, "KVM_HINTS_REALTIME");
}

KVMPV_TEST(cpuid, clock_msrs) {
    Test test(handle);
    const auto msrs = [](u32 features) { return clock_msrs(KvmCpuid{0x4000'0000, features, 0}); };
    const auto expect = [&](u32 features, u32 system_time, u32 wall_clock) {
        const std::optional<ClockMsrs> found = msrs(features);
        if (!test.is_true("offered", found.has_value())) return;
        test.equal("system time", static_cast<u32>(found->system_time), system_time);
        test.equal("wall clock", static_cast<u32>(found->wall_clock), wall_clock);
    };
    // Bit 3 offers the new pair, whatever bit 0 says. Bit 0 alone offers the deprecated pair.
    expect(0x8, 0x4b56'4d01, 0x4b56'4d00);
    expect(0x9, 0x4b56'4d01, 0x4b56'4d00);
    expect(0x1, 0x12, 0x11);
    expect(0xffff'fff7, 0x12, 0x11);
    test.is_false("neither", msrs(0).has_value());
    test.is_false("neither bit 0 nor bit 3", msrs(~u32{0x9}).has_value());
}

KVMPV_SUITE(cpuid);
