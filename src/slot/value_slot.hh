// SPDX-License-Identifier: GPL-2.0-only
//
// A value slot: an MSR of each vCPU that holds a number, not an address. The old value is saved
// when the module first sets the MSR of a CPU, and put back later. Others may write to it, too,
// such as a driver of the kernel. If they have done so since, their value stays.

#pragma once

#include "base/log.hh"
#include "slot/registration.hh"

namespace kvmpv {

template <class T>
concept ValueLayout = requires(const KvmCpuid& kvm) {
    // Its index in kvmpv_cpu::values.
    { T::kIndex } -> std::convertible_to<u32>;
    // The MSR, or nothing if the host does not offer it.
    { T::msr(kvm) } -> std::same_as<std::optional<Msr>>;
};

// The machine, live or scripted.
template <class T>
concept ValueKernel = requires(int after, u32 cpu, u32 index, u64 value, Msr msr, const char* text,
                               Error error) {
    // The first one after -1; -1 if there is none left.
    { T::next_online_cpu(after) } -> std::same_as<int>;
    { T::rdmsr(cpu, msr) } -> std::same_as<Result<u64>>;
    // On the current CPU; any context.
    { T::rdmsr_here(msr) } -> std::same_as<Result<u64>>;
    { T::wrmsr_here(msr, value) } -> std::same_as<Result<void>>;
    { T::value(cpu, index) } -> std::same_as<kvmpv_value&>;
    { T::log_cpu_error(text, text, cpu, error) } -> std::same_as<void>;
};

struct LiveValueKernel : LiveKernel {
    static kvmpv_value& value(u32 cpu, u32 index) { return linux_cpu(cpu)->values[index]; }
    static void log_cpu_error(const char* feature, const char* what, u32 cpu, Error error) {
        kvmpv::log_cpu_error(feature, what, cpu, error);
    }
};

template <ValueLayout Layout, ValueKernel Kernel = LiveValueKernel>
class ValueSlot : public SlotState {
public:
    // `feature` starts each log line.
    explicit constexpr ValueSlot(const char* feature) : feature_(feature) {}

    // Reads the MSR of every online CPU, and decides whether it can be set. `driver_uses_it`: a
    // driver of the kernel sets it now. The caller holds the hotplug lock. Interrupts are on. If
    // CPUID does not offer the MSR, it is not read, because that would fault.
    void find(const KvmCpuid& kvm, bool driver_uses_it) {
        const bool offered =
            look_at_each_cpu<Kernel>(Layout::msr(kvm), [this](u32, u64) { ++survey_.cpus; });
        decision_ = decide_value(offered, driver_uses_it, survey_);
    }

    // The value that `cpu` is to have from now on. set_wanted() writes it: the caller calls that
    // next if the CPU is online, otherwise it is called when the CPU comes online. Any context, but
    // no two at once for the same CPU.
    void want(u32 cpu, u64 value) {
        kvmpv_value& of = Kernel::value(cpu, Layout::kIndex);
        of.is_wanted = true;
        of.wanted = value;
    }

    // Nothing from now on; an MSR that was set stays so. As want().
    void want_nothing(u32 cpu) { Kernel::value(cpu, Layout::kIndex).is_wanted = false; }

    // Writes what is wanted on `cpu`, if anything is, and reads it back, because a host might
    // ignore the write. The old value is saved; if somebody else has written to the MSR since we
    // did, theirs is the old value. Logs and counts an error. -EIO if an access faults or the write
    // was ignored, and then nothing is wanted there any more. On the CPU itself; any context.
    Result<void> set_wanted(u32 cpu) {
        kvmpv_value& of = Kernel::value(cpu, Layout::kIndex);
        if (!of.is_wanted) return {};
        const Result<void> set = write_wanted(of);
        if (set.ok()) return set;
        of.is_wanted = false;
        failed(cpu, "the MSR could not be set", set.error());
        return set;
    }

    // The same after the kernel has reset the MSR, as it does to some whenever a CPU goes or
    // sleeps. That was no wish of anybody's, so if we had set it, what it held before us stays what
    // it was.
    void set_again(u32 cpu) {
        const kvmpv_value old = of(cpu);
        static_cast<void>(set_wanted(cpu));
        kvmpv_value& now = Kernel::value(cpu, Layout::kIndex);
        if (old.is_held && now.is_held) now.before = old.before;
    }

    // Writes the old value back to the MSR of `cpu`, if we have set it and nobody has written to it
    // since. The wanted value is kept, so set_wanted() sets it again. Logs and counts an error; the
    // old value is then kept, and the next call tries again. On the CPU itself; any context.
    void put_back(u32 cpu) {
        kvmpv_value& of = Kernel::value(cpu, Layout::kIndex);
        if (!of.is_held) return;
        const Result<void> back = write_back(of);
        if (back.ok())
            of.is_held = false;
        else
            failed(cpu, "the MSR could not be put back", back.error());
    }

    // Leaves the MSR of `cpu` as it is: from now on it belongs to somebody else. Any context.
    void let_go(u32 cpu) { Kernel::value(cpu, Layout::kIndex).is_held = false; }

    kvmpv_value of(u32 cpu) const { return Kernel::value(cpu, Layout::kIndex); }
    u32 failures() const { return __atomic_load_n(&failures_, __ATOMIC_RELAXED); }

private:
    Result<void> write_wanted(kvmpv_value& of) {
        const Result<u64> now = Kernel::rdmsr_here(msr_);
        if (!now.ok()) return now.error();
        if (const Result<void> written = Kernel::wrmsr_here(msr_, of.wanted); !written.ok())
            return written;
        if (!of.is_held || now.value() != of.set) of.before = now.value();
        // If it cannot be read back, the write may have worked, so it has to be put back.
        of.is_held = true;
        of.set = of.wanted;
        const Result<u64> after = Kernel::rdmsr_here(msr_);
        if (!after.ok()) return after.error();
        if (after.value() == of.wanted) return {};
        // The write was ignored: the MSR holds the old value, or one that we have set earlier.
        of.is_held = after.value() != of.before;
        of.set = after.value();
        return Error(-kEio);
    }

    Result<void> write_back(const kvmpv_value& of) {
        const Result<u64> now = Kernel::rdmsr_here(msr_);
        if (!now.ok()) return now.error();
        if (now.value() != of.set) return {};
        if (const Result<void> written = Kernel::wrmsr_here(msr_, of.before); !written.ok())
            return written;
        const Result<u64> after = Kernel::rdmsr_here(msr_);
        if (!after.ok()) return after.error();
        if (after.value() != of.before) return Error(-kEio);
        return {};
    }

    // CPUs may fail at the same time.
    void failed(u32 cpu, const char* what, Error error) {
        __atomic_fetch_add(&failures_, 1, __ATOMIC_RELAXED);
        Kernel::log_cpu_error(feature_, what, cpu, error);
    }

    const char* feature_;
    u32 failures_ = 0;
};

}  // namespace kvmpv
