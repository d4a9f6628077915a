// SPDX-License-Identifier: GPL-2.0-only
//
// The events since load: the latest ones, and a count of each kind.

#pragma once

#include "boundary.h"
#include "kvmpv/disruption.hh"
#include "kvmpv/event_ring.hh"

namespace kvmpv {

inline constexpr u32 kNoCpu = ~u32{0};

struct Event {
    u64 time_ns;  // CLOCK_MONOTONIC
    s64 value;    // in the kind's unit
    ClockSample before;
    ClockSample now;
    u32 cpu;  // the first CPU that saw it, or kNoCpu
    EventKind kind;
    bool has_samples;  // the event is about `before` and `now`
};

// All members are called under EventsLock.
class Events {
public:
    void add(const Event& event);

    const EventRing<Event>& ring() const { return ring_; }
    u64 count(EventKind kind) const { return count_[static_cast<u32>(kind)]; }
    s64 largest(EventKind kind) const { return largest_[static_cast<u32>(kind)]; }
    // How many events the host has caused.
    u64 disruptions() const { return disruptions_; }

private:
    EventRing<Event> ring_;
    std::array<u64, kNumEventKinds> count_{};
    std::array<s64, kNumEventKinds> largest_{};
    u64 disruptions_ = 0;
};

extern constinit Events events;

// The totals of all kinds at one moment.
struct EventTotals {
    std::array<u64, kNumEventKinds> counts;
    u64 disruptions;
    u64 pause_max_ns;
    u64 jump_max_ns;  // in either direction
};

// The lock of the events, which also guards the sampler's state. Disables interrupts while this
// object lives. Any context but NMI.
class EventsLock {
public:
    EventsLock() : state_(linux_events_lock()) {}
    ~EventsLock() { linux_events_unlock(state_); }
    EventsLock(const EventsLock&) = delete;
    EventsLock& operator=(const EventsLock&) = delete;

private:
    u64 state_;
};

// This function and those below take EventsLock themselves.
EventTotals event_totals();

// How many events there have been, and the number of the oldest one that is still in the ring.
struct EventSpan {
    u64 total;
    u64 oldest;
};
EventSpan event_span();
// Nothing if the event has been overwritten, or if there has been none of that number yet.
std::optional<Event> event_at(u64 sequence);

}  // namespace kvmpv
