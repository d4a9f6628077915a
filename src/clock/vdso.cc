// SPDX-License-Identifier: GPL-2.0-only
//
// The clock: whether user space reads it by itself.

#include "clock/clock.hh"

#include "base/cpus.hh"
#include "base/mutex.hh"

namespace kvmpv {

// The kernel's own conditions first: the mode may be shown only when the page is named and may be
// mapped, or every process that reads the time dies of SIGBUS.
Vdso Clock::enable_vdso() {
    if (vdso_parameter_ == 0) return Vdso::kParameter;
    if (owned() && vdso_parameter_ != 1) return Vdso::kOwnedMode;
    // If the guard is on for another reason, vdso() says so, and it may go off again.
    if (host_is_unstable_) return Vdso::kNotStable;
    if (!owned() && vdso_parameter_ != 1 && linux_native_clock_is_read_by_vdso() == 0)
        return Vdso::kAsNative;
    if (owned()) {
        const void* named = linux_vdso_page();
        if (named && named != owned_slots_.cpu0_page()) return Vdso::kKernelsPage;
        if (linux_vdso_publish_page(owned_slots_.cpu0_page())) return Vdso::kNoPage;
        if (!page_is_kept())
            linux_log_info(
                "vdso: the page that user space reads is never freed, not by rmmod either");
        owned_slots_.keep_cpu0();
    } else if (linux_vdso_page() != record_of(0)) {
        return Vdso::kNoPage;
    }
    if (linux_vdso_allow_mapping()) return Vdso::kNoMappingBit;
    return Vdso::kOn;
}

// On stopped CPUs, because revoke_stable() may change the path at the same time: what was computed
// before that must not be set after it.
Result<void> Clock::set_vdso(bool on) {
    const MutexLock lock(KVMPV_MUTEX_CLOCK);
    if (!enabled_) return Error(-kEinval);
    vdso_parameter_ = on;
    vdso_ = enable_vdso();
    on_stopped_cpus([this](u32) {
        const linux_clock_path now = path();
        linux_clocksource_set_path(&now);
    });
    return on && vdso_ != Vdso::kOn ? Error(-kEinval) : Result<void>();
}

}  // namespace kvmpv
