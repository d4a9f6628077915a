// SPDX-License-Identifier: GPL-2.0-only
//
// A registration: one slot (MSR) per vCPU that holds the address of an area, and the host keeps
// writing to that area. Clock, steal time and PV EOI are its three instantiations. They differ in
// their layouts. Those of async page faults are the kernel's, or nobody's.

#pragma once

#include "boundary.h"
#include "kvmpv/cpuid.hh"
#include "kvmpv/result.hh"
#include "kvmpv/slot.hh"

namespace kvmpv {

template <class T>
concept UsedSlotLayout = requires(const KvmCpuid& kvm, u32 cpu, u64 msr_value) {
    // The slot's MSR, or nothing if the host does not offer it.
    { T::msr(kvm) } -> std::same_as<std::optional<Msr>>;
    // Whether the running kernel uses what an enabled slot of `cpu` points at.
    { T::use(cpu, msr_value) } -> std::same_as<Use>;
};

template <class T>
concept SlotLayout = UsedSlotLayout<T> && requires {
    // Its index in kvmpv_cpu::foreign_msr.
    { T::kIndex } -> std::convertible_to<u32>;
    // The address bits of the MSR.
    { T::kAddressMask } -> std::convertible_to<u64>;
};

// The machine, live or scripted.
template <class T>
concept SlotKernel = requires(int after, u32 cpu, u32 index, u64 value, Msr msr) {
    // The first one after -1; -1 if there is none left.
    { T::next_online_cpu(after) } -> std::same_as<int>;
    { T::rdmsr(cpu, msr) } -> std::same_as<Result<u64>>;
    // On the current CPU; any context.
    { T::rdmsr_here(msr) } -> std::same_as<Result<u64>>;
    { T::wrmsr_here(msr, value) } -> std::same_as<Result<void>>;
    // What the slot held when the module took it, or 0 if it was disabled.
    { T::foreign_msr(cpu, index) } -> std::same_as<u64&>;
    { T::is_kernel_ram(value) } -> std::same_as<bool>;
};

struct LiveKernel {
    static int next_online_cpu(int cpu) { return linux_next_online_cpu(cpu); }

    static Result<u64> rdmsr(u32 cpu, Msr msr) {
        u64 value = 0;
        const int error = linux_rdmsr_on_cpu(cpu, static_cast<u32>(msr), &value);
        if (error) return Error(error);
        return value;
    }

    static Result<u64> rdmsr_here(Msr msr) {
        u64 value = 0;
        const int error = linux_rdmsr_here(static_cast<u32>(msr), &value);
        if (error) return Error(error);
        return value;
    }

    static Result<void> wrmsr_here(Msr msr, u64 value) {
        return Result<void>::from_errno(linux_wrmsr_here(static_cast<u32>(msr), value));
    }

    static u64& foreign_msr(u32 cpu, u32 index) { return linux_cpu(cpu)->foreign_msr[index]; }
    static bool is_kernel_ram(u64 physical) { return linux_is_kernel_ram(physical); }
};

// What was found in the slots of a feature, and what may be done with them.
class SlotState {
public:
    constexpr SlotState() = default;
    explicit constexpr SlotState(Decision decision) : decision_(decision) {}

    // A step that the decision requires has failed: the mode is off from now on.
    void fail() { decision_ = {Mode::kOff, Reason::kStepFailed}; }

    const Decision& decision() const { return decision_; }
    const SlotSurvey& survey() const { return survey_; }
    Msr msr() const { return msr_; }

protected:
    // Reads `msr` on every online CPU, and calls note(cpu, value) where that succeeds. Returns
    // false, and reads nothing, if there is no MSR: the host does not offer it, and it would fault.
    template <class Kernel, class Note>
    bool look_at_each_cpu(std::optional<Msr> msr, Note note) {
        survey_ = {};
        if (!msr) return false;
        msr_ = *msr;
        for (int next = Kernel::next_online_cpu(-1); next >= 0;
             next = Kernel::next_online_cpu(next)) {
            const u32 cpu = static_cast<u32>(next);
            const Result<u64> value = Kernel::rdmsr(cpu, msr_);
            if (value.ok())
                note(cpu, value.value());
            else
                survey_.add_unreadable(cpu, value.error().negative_errno());
        }
        return true;
    }

    // The same for a registration, whose slots' use is noted.
    template <UsedSlotLayout Layout, class Kernel>
    bool survey_each_cpu(const KvmCpuid& kvm) {
        return look_at_each_cpu<Kernel>(Layout::msr(kvm), [this](u32 cpu, u64 value) {
            survey_.add(cpu, value, Layout::use(cpu, value));
        });
    }

    Msr msr_{};
    SlotSurvey survey_;
    Decision decision_;
};

// A registration that only the kernel can use. Its slots are never written.
template <UsedSlotLayout Layout, SlotKernel Kernel = LiveKernel>
class KernelsRegistration : public SlotState {
public:
    // As Registration::find(), for a feature that no parameter disables.
    void find(const KvmCpuid& kvm) {
        const bool offered = survey_each_cpu<Layout, Kernel>(kvm);
        decision_ = decide_never_taken(offered, survey_);
    }
};

template <SlotLayout Layout, SlotKernel Kernel = LiveKernel>
class Registration : public SlotState {
public:
    // Reads the slot of every online CPU, and decides what may be done with it. The caller holds
    // the hotplug lock (linux_cpus_lock()). Interrupts are on. If CPUID does not offer the feature
    // nothing is read, because the MSR would fault. `wanted`: no parameter disables the feature.
    void find(const KvmCpuid& kvm, bool wanted) {
        const bool offered = survey_each_cpu<Layout, Kernel>(kvm);
        decision_ = decide(offered, wanted, survey_);
    }

    // Takes the slot of `cpu`: from now on the host writes to the area at guest-physical address
    // `physical`. What the slot held is saved for put_back(). -EIO as for arm(), or if the MSR
    // cannot be read. The caller has to try put_back() even after an error. Runs on `cpu`, bound to
    // it.
    Result<void> take(u32 cpu, u64 physical) {
        const Result<u64> before = Kernel::rdmsr_here(msr_);
        if (!before.ok()) return before.error();
        Kernel::foreign_msr(cpu, Layout::kIndex) =
            before.value() & kMsrEnabled ? before.value() : 0;
        return arm(physical);
    }

    // Writes the slot and reads it back: if a host ignored the write, the area would stay as it is,
    // and nobody would notice. -EIO if an access faults or the slot reads back as something else.
    // On the CPU itself; any context.
    Result<void> arm(u64 physical) {
        const u64 wanted = physical | kMsrEnabled;
        if (const Result<void> written = Kernel::wrmsr_here(msr_, wanted); !written.ok())
            return written;
        const Result<u64> after = Kernel::rdmsr_here(msr_);
        if (!after.ok()) return after.error();
        if (after.value() != wanted) return Error(-kEio);
        return {};
    }

    // Clears the slot: the host no longer writes anywhere. -EIO if it may still hold an address. On
    // the CPU itself; any context.
    Result<void> disarm() { return leave(0, 0); }

    // Gives up the slot of `cpu` for good. Writes back what it held before if that address lies
    // outside the kernel's memory, where the host can do no harm; otherwise clears it. -EIO if it
    // may still hold our address. On the CPU itself; interrupts may be off.
    Result<void> put_back(u32 cpu) {
        const u64 before = Kernel::foreign_msr(cpu, Layout::kIndex);
        const bool is_harmless = before && !Kernel::is_kernel_ram(before & Layout::kAddressMask);
        return leave(is_harmless ? before : 0, before);
    }

private:
    // Writes the slot, and goes by what it reads as then: a host may ignore the write. And one that
    // refuses it may have refused the slot from the beginning, so that it still holds what it held
    // `before`.
    Result<void> leave(u64 wanted, u64 before) {
        const Result<void> written = Kernel::wrmsr_here(msr_, wanted);
        const Result<u64> after = Kernel::rdmsr_here(msr_);
        if (after.ok() && (!(after.value() & kMsrEnabled) || after.value() == before)) return {};
        if (!written.ok()) return written;
        return after.ok() ? Error(-kEio) : after.error();
    }
};

}  // namespace kvmpv
