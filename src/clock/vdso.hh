// SPDX-License-Identifier: GPL-2.0-only
//
// Whether user space reads the clock by itself, without a system call.

#pragma once

#include "clock/records.hh"

namespace kvmpv {

// Whether it does, and if not, why.
enum class Vdso : u8 {
    kOn,
    kParameter,     // vdso=0
    kOwnedMode,     // vdso=1 was not given
    kAsNative,      // likewise, and the kernel's own clock is read by system call
    kNotStable,     // user space reads CPU 0's record on every CPU: all have to agree
    kNoPage,        // the kernel has no page to map, or its pointer to it cannot be found
    kKernelsPage,   // owned mode: the kernel has a page of its own, which it maps
    kNoMappingBit,  // the kernel's variable for modes in use cannot be found
    kGuardOn,       // it was on; user space cannot apply the guard
    kPromiseGone,   // it is on; CPU 0's record has lost its stable flag since
};

class ClockVdso {
public:
    // The parameter vdso: 0, 1, or what stands for neither. enable() follows it.
    void set_parameter(int parameter) { parameter_ = parameter; }

    // Checks the conditions and lets the kernel map the page, which from then on is never freed in
    // owned mode. `host_is_unstable`: the guard is on, and cannot go off again.
    void enable(ClockRecords& records, bool host_is_unstable) {
        state_ = try_enable(records, host_is_unstable);
    }

    bool is_enabled() const { return state_ == Vdso::kOn; }
    Vdso state(bool guarded) const { return is_enabled() && guarded ? Vdso::kGuardOn : state_; }

private:
    Vdso try_enable(ClockRecords& records, bool host_is_unstable) const;

    int parameter_ = 0;
    Vdso state_ = Vdso::kParameter;
};

}  // namespace kvmpv
