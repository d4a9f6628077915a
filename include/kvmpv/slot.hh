// SPDX-License-Identifier: GPL-2.0-only
//
// Whose is a registration slot, and what may we do with it? The decision alone: reading the MSRs is
// src/registration.hh's part.
//
// An enabled slot need not be the kernel's: firmware leaves one behind on CPU 0 of a guest whose
// kernel registers nothing. So the kernel itself has to say that it uses a slot, on every CPU.

#pragma once

#include "kvmpv/abi.hh"

namespace kvmpv {

enum class Mode : u8 {
    kOff,     // nothing is done, the reason says why
    kShared,  // the kernel's own registration is used; no registration MSR is written
    kOwned,   // the slot is ours to take
};

enum class Use : u8 {
    kKernel,   // the running kernel says that it uses what the slot points at
    kNobody,   // it does not: the slot is free, or somebody else's where it is enabled
    kUnknown,  // the kernel cannot be asked
};

enum class Reason : u8 {
    kNotOffered,      // CPUID lacks the feature
    kParameter,       // a module parameter disables it
    kUnreadable,      // the MSR could not be read on some CPU
    kUseUnknown,      // enabled, and the kernel cannot be asked whether by it
    kKernelSomeCpus,  // the kernel uses it, but not on every CPU: nothing that could be relied on
    kKernelAllCpus,
    kFree,
    kForeign,
    kNeverTaken,  // a slot that this module only shows
    kStepFailed,  // a later step failed; the log has the details
};

// What the slots of all online CPUs hold.
struct SlotSurvey {
    u32 cpus = 0;
    u32 kernel = 0;
    u32 free = 0;
    u32 foreign = 0;
    u32 unknown = 0;
    u32 unreadable = 0;
    u32 foreign_cpu = 0;  // the first one, with what its slot holds
    u64 foreign_value = 0;
    u32 unreadable_cpu = 0;
    int unreadable_errno = 0;

    constexpr void add(u32 cpu, u64 value, Use use) {
        ++cpus;
        if (!(value & kMsrEnabled)) {
            ++free;
        } else if (use == Use::kKernel) {
            ++kernel;
        } else if (use == Use::kUnknown) {
            ++unknown;
        } else if (++foreign == 1) {
            foreign_cpu = cpu;
            foreign_value = value;
        }
    }

    constexpr void add_unreadable(u32 cpu, int negative_errno) {
        ++cpus;
        if (++unreadable == 1) {
            unreadable_cpu = cpu;
            unreadable_errno = negative_errno;
        }
    }
};

struct Decision {
    Mode mode = Mode::kOff;
    Reason reason = Reason::kNotOffered;
};

constexpr Decision decide(bool offered, bool wanted, const SlotSurvey& survey) {
    if (!offered) return {Mode::kOff, Reason::kNotOffered};
    if (!wanted) return {Mode::kOff, Reason::kParameter};
    if (survey.unreadable || !survey.cpus) return {Mode::kOff, Reason::kUnreadable};
    if (survey.unknown) return {Mode::kOff, Reason::kUseUnknown};
    if (survey.kernel == survey.cpus) return {Mode::kShared, Reason::kKernelAllCpus};
    // Taking a slot away from a kernel that uses it is never done, not even on one CPU of many.
    if (survey.kernel) return {Mode::kOff, Reason::kKernelSomeCpus};
    if (survey.foreign) return {Mode::kOwned, Reason::kForeign};
    return {Mode::kOwned, Reason::kFree};
}

constexpr const char* mode_name(Mode mode) {
    switch (mode) {
        case Mode::kOff: return "off";
        case Mode::kShared: return "shared";
        case Mode::kOwned: return "owned";
    }
    return "?";
}

}  // namespace kvmpv
