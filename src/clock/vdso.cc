// SPDX-License-Identifier: GPL-2.0-only
//
// The clock: whether user space reads it by itself.

#include "clock/clock.hh"

namespace kvmpv {

// The kernel's own conditions first: the mode may be shown only when the page is named and may be
// mapped, or every process that reads the time dies of SIGBUS.
Vdso Clock::enable_vdso() {
    if (vdso_parameter_ == 0) return Vdso::kParameter;
    if (owned() && vdso_parameter_ != 1) return Vdso::kOwnedMode;
    if (guarded()) return Vdso::kNotStable;
    if (owned()) {
        const void* named = linux_vdso_page();
        if (named && named != owned_slots_.cpu0_page()) return Vdso::kKernelsPage;
        if (linux_vdso_publish_page(owned_slots_.cpu0_page())) return Vdso::kNoPage;
        owned_slots_.keep_cpu0();
    } else if (linux_vdso_page() != record_of(0)) {
        return Vdso::kNoPage;
    }
    if (linux_vdso_allow_mapping()) return Vdso::kNoMappingBit;
    return Vdso::kOn;
}

}  // namespace kvmpv
