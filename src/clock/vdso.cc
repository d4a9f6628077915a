// SPDX-License-Identifier: GPL-2.0-only

#include "clock/vdso.hh"

#include "boundary.h"

namespace kvmpv {

// The kernel's own conditions first: timekeeping may offer the vDSO mode only when the page is
// named and may be mapped, or every process that reads the time dies of SIGBUS.
Vdso ClockVdso::try_enable(ClockRecords& records, bool host_is_unstable) const {
    const bool owned = records.owned();
    if (parameter_ == 0) return Vdso::kParameter;
    if (owned && parameter_ != 1) return Vdso::kOwnedMode;
    // If the guard is on for another reason, state() says so, and it may go off again.
    if (host_is_unstable) return Vdso::kNotStable;
    if (!owned && parameter_ != 1 && linux_native_clock_is_read_by_vdso() == 0)
        return Vdso::kAsNative;
    if (owned) {
        const void* named = linux_vdso_page();
        if (named && named != records.cpu0_page()) return Vdso::kKernelsPage;
        if (linux_vdso_publish_page(records.cpu0_page())) return Vdso::kNoPage;
        if (!records.cpu0_page_is_kept())
            linux_log_info(
                "vdso: the page that user space reads is never freed, not by rmmod either");
        records.keep_cpu0_page();
    } else if (linux_vdso_page() != records.of(0)) {
        return Vdso::kNoPage;
    }
    if (linux_vdso_allow_mapping()) return Vdso::kNoMappingBit;
    return Vdso::kOn;
}

}  // namespace kvmpv
