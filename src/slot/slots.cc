// SPDX-License-Identifier: GPL-2.0-only

#include "slot/slots.hh"

#include "x86.hh"

namespace kvmpv {

constinit Slots slots;

namespace {

// Of migration control.
constinit kvmpv_value guest_value{};

Use use_from_kernel_answer(int in_force) {
    if (in_force < 0) return Use::kUnknown;
    return in_force ? Use::kKernel : Use::kNobody;
}

}  // namespace

std::optional<Msr> ClockLayout::msr(const KvmCpuid& kvm) {
    const std::optional<ClockMsrs> msrs = clock_msrs(kvm);
    if (!msrs) return std::nullopt;
    return msrs->system_time;
}

Use ClockLayout::use(u32 cpu, u64 msr_value) {
    u64 physical = 0;
    const void* record = linux_native_clock_record(cpu, &physical);
    return record && (msr_value & kSystemTimeAddressMask) == physical ? Use::kKernel : Use::kNobody;
}

std::optional<Msr> StealLayout::msr(const KvmCpuid& kvm) {
    if (!kvm.has(Feature::KVM_FEATURE_STEAL_TIME)) return std::nullopt;
    return Msr::KVM_STEAL_TIME;
}

Use StealLayout::use(u32, u64) { return use_from_kernel_answer(linux_native_steal_in_force()); }

std::optional<Msr> EoiLayout::msr(const KvmCpuid& kvm) {
    if (!kvm.has(Feature::KVM_FEATURE_PV_EOI)) return std::nullopt;
    return Msr::KVM_EOI_EN;
}

std::optional<Msr> PollControlLayout::msr(const KvmCpuid& kvm) {
    if (!kvm.has(Feature::KVM_FEATURE_POLL_CONTROL)) return std::nullopt;
    return Msr::KVM_POLL_CONTROL;
}

// Linux registers only where the host tells by an interrupt that a page has come.
std::optional<Msr> AsyncPfLayout::msr(const KvmCpuid& kvm) {
    if (!kvm.has(Feature::KVM_FEATURE_ASYNC_PF)) return std::nullopt;
    if (!kvm.has(Feature::KVM_FEATURE_ASYNC_PF_INT)) return std::nullopt;
    return Msr::KVM_ASYNC_PF_EN;
}

Use AsyncPfLayout::use(u32 cpu, u64 msr_value) {
    u64 physical = 0;
    if (!linux_native_apf_record(cpu, &physical)) return Use::kUnknown;
    return (msr_value & kAsyncPfAddressMask) == physical ? Use::kKernel : Use::kNobody;
}

std::optional<Msr> MigrationControlLayout::msr(const KvmCpuid& kvm) {
    if (!kvm.has(Feature::KVM_FEATURE_MIGRATION_CONTROL)) return std::nullopt;
    return Msr::KVM_MIGRATION_CONTROL;
}

kvmpv_value& GuestValueKernel::value(u32, u32) { return guest_value; }

Use EoiLayout::use(u32, u64) { return use_from_kernel_answer(linux_native_eoi_in_force()); }

bool haltpoll_driver_is_active() {
    char name[16];
    linux_cpuidle_driver_name(name, sizeof(name));
    return __builtin_strcmp(name, "haltpoll") == 0;
}

Result<void> Slots::take(bool clock_wanted, bool legacy) {
    const std::optional<KvmCpuid> found = find_kvm(x86::cpuid);
    if (!found) return Error(-kEnodev);
    kvm = *found;

    linux_symbols_resolve();
    kvm_for_clock = kvm;
    if (legacy && kvm.has(Feature::KVM_FEATURE_CLOCKSOURCE))
        kvm_for_clock.features &= ~(u32{1} << static_cast<u32>(Feature::KVM_FEATURE_CLOCKSOURCE2));

    linux_cpus_lock();
    clock.find(kvm_for_clock, clock_wanted);
    steal.find(kvm, true);
    eoi.find(kvm, true);
    poll_control.find(kvm, haltpoll_driver_is_active());
    async_pf.find(kvm);
    migration_control.find(kvm, false);
    linux_cpus_unlock();
    return {};
}

}  // namespace kvmpv
