// SPDX-License-Identifier: GPL-2.0-only
//
// Whose is a registration slot, and what may we do with it? This file only decides that;
// registration.hh reads and writes the MSRs. Any context.
//
// An enabled slot need not be the kernel's. Firmware leaves one enabled on CPU 0 even if the kernel
// registers nothing. So the kernel itself has to say, for every CPU, that it uses the slot.

#pragma once

#include "kvmpv/abi.hh"

namespace kvmpv {

enum class Mode : u8 {
    kOff,     // the module does nothing; the reason says why
    kShared,  // the module uses the kernel's own registration and writes no registration MSR
    kOwned,   // the module may take the slot
};

enum class Use : u8 {
    kKernel,   // the running kernel says that it uses what the slot points at
    kNobody,   // the kernel does not use it; if the slot is enabled it is foreign
    kUnknown,  // the kernel cannot be asked
};

enum class Reason : u8 {
    kNotOffered,      // CPUID lacks the feature
    kParameter,       // a module parameter disables it
    kUnreadable,      // the MSR could not be read on some CPU
    kUseUnknown,      // the slot is enabled, and the kernel cannot be asked whether it uses it
    kKernelSomeCpus,  // the kernel uses the slot on some CPUs but not on all
    kKernelAllCpus,   // the kernel uses it on every online CPU
    kFree,            // the slot is disabled on every online CPU
    kForeign,         // the slot is enabled on some CPU, but the kernel does not use it
    kNeverTaken,      // the kernel does not use it, and the module cannot
    kOnRequest,       // a value: set when the user asks for it
    kDriver,          // a value that a driver of the kernel sets
    kStepFailed,      // a later step failed; the log has the details
};

// What the slots of all online CPUs hold: on how many of them each case was found.
struct SlotSurvey {
    u32 cpus = 0;  // the sum of the next five
    u32 kernel = 0;
    u32 free = 0;
    u32 foreign = 0;
    u32 unknown = 0;
    u32 unreadable = 0;
    u32 foreign_cpu = 0;  // the first CPU whose slot is foreign, and what that holds
    u64 foreign_value = 0;
    u32 unreadable_cpu = 0;    // the first CPU whose slot could not be read, and the error
    int unreadable_errno = 0;  // negative

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

// `offered`: CPUID offers the feature. `wanted`: no module parameter disables it.
constexpr Decision decide(bool offered, bool wanted, const SlotSurvey& survey) {
    if (!offered) return {Mode::kOff, Reason::kNotOffered};
    if (!wanted) return {Mode::kOff, Reason::kParameter};
    if (survey.unreadable || !survey.cpus) return {Mode::kOff, Reason::kUnreadable};
    if (survey.unknown) return {Mode::kOff, Reason::kUseUnknown};
    if (survey.kernel == survey.cpus) return {Mode::kShared, Reason::kKernelAllCpus};
    // The module never takes a slot away from a kernel that uses it, not even on one CPU of many.
    if (survey.kernel) return {Mode::kOff, Reason::kKernelSomeCpus};
    if (survey.foreign) return {Mode::kOwned, Reason::kForeign};
    return {Mode::kOwned, Reason::kFree};
}

// The same for a registration that only the kernel can use.
constexpr Decision decide_never_taken(bool offered, const SlotSurvey& survey) {
    const Decision decision = decide(offered, true, survey);
    if (decision.mode == Mode::kOwned) return {Mode::kOff, Reason::kNeverTaken};
    return decision;
}

// The same for a value, which nobody has to give up before it is set. `driver_uses_it`: a driver of
// the kernel sets it.
constexpr Decision decide_value(bool offered, bool driver_uses_it, const SlotSurvey& survey) {
    if (!offered) return {Mode::kOff, Reason::kNotOffered};
    if (survey.unreadable || !survey.cpus) return {Mode::kOff, Reason::kUnreadable};
    if (driver_uses_it) return {Mode::kShared, Reason::kDriver};
    return {Mode::kOwned, Reason::kOnRequest};
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
