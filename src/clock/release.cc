// SPDX-License-Identifier: GPL-2.0-only
//
// The clock: its rating, and how the kernel leaves it.

#include "clock/clock.hh"

#include "base/mutex.hh"
#include "kvmpv/text.hh"

namespace kvmpv {

namespace {

// arch/x86/kernel/kvmclock.c: 400, or 299 if the TSC (300) is good enough to be preferred.
constexpr int kNativeRating = 400;
constexpr int kNativeRatingBesideGoodTsc = 299;

// One below the kernel's own kvm-clock, so that loading alone changes nothing. If its struct
// clocksource cannot be found, one below the lowest rating that it can have here: too low is
// harmless, too high would make the kernel switch to us.
int rating_beside_native() {
    const int found = linux_native_clock_rating();
    if (found > 0) return found - 1;
    return (linux_tsc_is_invariant() ? kNativeRatingBesideGoodTsc : kNativeRating) - 1;
}

// The rating that native kvm-clock would have. So a guest on hpet or acpi_pm switches to us by
// itself, and one on a good TSC stays there.
int rating_instead_of_native() {
    return linux_tsc_is_invariant() && !linux_tsc_is_unstable() ? kNativeRatingBesideGoodTsc
                                                                : kNativeRating;
}

}  // namespace

int Clock::automatic_rating() const {
    return owned() ? rating_instead_of_native() : rating_beside_native();
}

// Somebody may unbind the clocksource between the check and the change of its rating. Then the
// kernel takes it back into its list, and `status` and rmmod find it there.
Result<void> Clock::release(bool released) {
    const MutexLock lock(KVMPV_MUTEX_CLOCK);
    if (!enabled_) return Error(-kEinval);
    if (!linux_clocksource_is_registered()) {
        linux_log_warn(
            "release: kvmpv was unbound by unbind_clocksource; the kernel no longer knows it");
        return Error(-kEinval);
    }
    const bool before = released_;
    released_ = released;
    if (const auto set = Result<void>::from_errno(linux_clocksource_set_rating(rating()));
        !set.ok()) {
        released_ = before;
        linux_log_warn("release: the kernel did not accept another rating of kvmpv");
        return set;
    }
    if (released && current()) {
        LineBuffer<300> line;
        Writer<LineSink<300>>(LineSink<300>{&line})
            << "release: the kernel stays with kvmpv: " << why_current();
        linux_log_warn(line.text());
        return Error(-kEbusy);
    }
    return {};
}

// Why the kernel stays with kvmpv at the lowest rating: the user named it, or the other
// clocksources are not fit for high-resolution timers. May sleep.
const char* Clock::why_current() {
    const int named = linux_clocksource_is_named();
    if (named == 0 || linux_clocksource_has_other() == 0)
        return named == 1 ? "it has no other clock for high-resolution timers "
                            "(available_clocksource names none), and current_clocksource was set "
                            "to kvmpv"
                          : "it has no other clock for high-resolution timers "
                            "(available_clocksource names none)";
    if (named == 1)
        return "current_clocksource was set to it, which overrides ratings; write another name of "
               "available_clocksource to it";
    return "current_clocksource was set to it, which overrides ratings, or there is no other clock "
           "for high-resolution timers; if available_clocksource has another name, write that to "
           "current_clocksource";
}

void Clock::let_go() {
    if (kept_) linux_module_let_go();
    kept_ = false;
}

void Clock::keep_while_indispensable() {
    const bool keep = registered() && linux_clocksource_is_indispensable() == 1;
    if (keep == kept_) return;
    if (keep) {
        if (!linux_module_keep()) return;
        linux_log_info(
            "clock: the kernel judges other clocks by kvmpv and accepts no other one for that; "
            "rmmod fails with EAGAIN until it has one");
    } else {
        linux_log_info("clock: the kernel can do without kvmpv again");
        linux_module_let_go();
    }
    kept_ = keep;
}

}  // namespace kvmpv
