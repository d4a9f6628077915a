// SPDX-License-Identifier: GPL-2.0-only
//
// The clocksource "kvmpv": when it exists, what it reads, how good it claims to be.

#pragma once

#include "kvmpv/boundary.h"
#include "kvmpv/pvclock.hh"
#include "kvmpv/result.hh"

namespace kvmpv {

struct Survey;

class Clock {
public:
    // Chooses read path and rating from what was found. Changes nothing in the kernel.
    // `requested_rating`: 1 to 499, or 0 for one below native kvm-clock.
    void create(const Survey& found, int requested_rating);

    // Gives every CPU its record and registers the clocksource. Nothing stays behind on error.
    Result<void> enable();

    // Waits until the kernel can do without the clocksource, then takes it away.
    void disable();

    // A CPU is about to start, or has stopped. Called with hotplug held off.
    void prepare_cpu(u32 cpu);
    void cpu_dead(u32 cpu);

    // Lowers our rating below every other clock's and lets the kernel choose; or takes that back.
    // -EBUSY if the kernel stays with kvmpv because the user named it, -EINVAL with no clocksource.
    Result<void> release(bool released);

    bool enabled() const { return enabled_; }
    bool current() const { return enabled_ && linux_clocksource_is_current(); }
    bool released() const { return released_; }
    int rating() const { return released_ ? kReleasedRating : rating_; }
    bool guarded() const { return guarded_; }
    bool uses_lfence() const { return uses_lfence_; }

    // The time that the clocksource would return now, in nanoseconds. Only while enabled.
    u64 now_ns() const { return read_(nullptr); }

private:
    // The kernel's documentation of struct clocksource: "1-99: Unfit for real use".
    static constexpr int kReleasedRating = 1;

    kvmpv_clock_read_fn choose_read() const;
    void choose_fallback_page(u32 except_cpu);

    kvmpv_clock_read_fn read_ = nullptr;
    int rating_ = 0;
    bool guarded_ = false;
    bool uses_lfence_ = false;
    bool enabled_ = false;
    bool released_ = false;
};

inline constexpr int kMaxClockRating = 499;

extern constinit Clock clock;

}  // namespace kvmpv
