// SPDX-License-Identifier: GPL-2.0-only
//
// What has happened to the clock since load: the last entries, and a count of each kind.

#pragma once

#include "kvmpv/boundary.h"
#include "kvmpv/disruption.hh"
#include "kvmpv/event_ring.hh"

namespace kvmpv {

inline constexpr u32 kNoCpu = ~u32{0};

struct Event {
    u64 time_ns;  // CLOCK_MONOTONIC
    s64 value;    // in the kind's unit
    ClockSample before;
    ClockSample now;
    u32 cpu;  // the first one that saw it, or kNoCpu
    EventKind kind;
    bool has_samples;  // `before` and `now` are what the entry is about
};

// All members are called under EventsLock.
class Events {
public:
    void add(const Event& event);

    const EventRing<Event>& ring() const { return ring_; }
    u64 count(EventKind kind) const { return count_[static_cast<u32>(kind)]; }
    s64 largest(EventKind kind) const { return largest_[static_cast<u32>(kind)]; }
    // Grows with every entry that the host is the cause of.
    u64 disruptions() const { return disruptions_; }

private:
    EventRing<Event> ring_;
    std::array<u64, kNumEventKinds> count_{};
    std::array<s64, kNumEventKinds> largest_{};
    u64 disruptions_ = 0;
};

extern constinit Events events;

// The counts of all kinds at one moment.
struct EventTotals {
    std::array<u64, kNumEventKinds> counts;
    u64 disruptions;
    u64 pause_max_ns;
    u64 jump_max_ns;  // in either direction
};

// Any context but NMI, with interrupts off for as long as it lives. Also guards the sampler's
// state.
class EventsLock {
public:
    EventsLock() : state_(linux_events_lock()) {}
    ~EventsLock() { linux_events_unlock(state_); }
    EventsLock(const EventsLock&) = delete;
    EventsLock& operator=(const EventsLock&) = delete;

private:
    u64 state_;
};

EventTotals event_totals();

// How many there were, and the number of the oldest one that is still there.
struct EventSpan {
    u64 total;
    u64 oldest;
};
EventSpan event_span();
// Nothing where it has been overwritten meanwhile.
std::optional<Event> event_at(u64 sequence);

}  // namespace kvmpv
