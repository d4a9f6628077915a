// SPDX-License-Identifier: GPL-2.0-only

#include "switches.hh"

#include "ask_lock.hh"
#include "clock.hh"
#include "eoi.hh"
#include "steal.hh"
#include "steal_tasks.hh"
#include "view.hh"

namespace kvmpv {

namespace {

Result<void> set(u32 which, bool on) {
    switch (which) {
        case KVMPV_CLOCK_RELEASE: return clock.release(on);
        case KVMPV_CLOCK_FORCE_UNSTABLE: return clock.force_unstable(on);
        case KVMPV_STEAL_HOOK: return steal.set_hooked(on);
        case KVMPV_STEAL_ATTRIBUTION: return steal_tasks::set_on(on);
        case KVMPV_EOI_HOOK:
            if (!eoi.created()) return Error(-kEinval);
            return on ? eoi.enable() : eoi.disable();
        default: return Error(-kEinval);
    }
}

}  // namespace

int store_switch(kvmpv_switch which, const char* text) {
    const std::optional<bool> wanted = parse_switch(text);
    return wanted ? kvmpv_switch_set(which, *wanted) : -kEinval;
}

}  // namespace kvmpv

// Under one lock: the parameter and the file of one switch may be written at once.
extern "C" int kvmpv_switch_set(u32 which, int value) {
    if (value != 0 && value != 1) return -kvmpv::kEinval;
    const kvmpv::AskLock lock;
    return kvmpv::set(which, value == 1).zero_or_negative_errno();
}

extern "C" bool kvmpv_switch_is_on(u32 which) {
    switch (which) {
        case KVMPV_CLOCK_RELEASE: return kvmpv::clock.released();
        case KVMPV_CLOCK_FORCE_UNSTABLE: return kvmpv::clock.forced();
        case KVMPV_STEAL_HOOK: return kvmpv::steal.hooked();
        case KVMPV_STEAL_ATTRIBUTION: return kvmpv::steal_tasks::is_on();
        case KVMPV_EOI_HOOK: return kvmpv::eoi.hooked();
        default: return false;
    }
}
