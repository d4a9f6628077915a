// SPDX-License-Identifier: GPL-2.0-only

#include "events/events.hh"

namespace kvmpv {

constinit Events events;

void Events::add(const Event& event) {
    const u32 kind = static_cast<u32>(event.kind);
    ring_.append(event);
    ++count_[kind];
    if (event.value > largest_[kind]) largest_[kind] = event.value;
    if (info(event.kind).is_disruption) ++disruptions_;
}

EventTotals event_totals() {
    EventTotals totals;
    const EventsLock lock;
    for (u32 kind = 0; kind < kNumEventKinds; ++kind)
        totals.counts[kind] = events.count(static_cast<EventKind>(kind));
    totals.disruptions = events.disruptions();
    totals.pause_max_ns = static_cast<u64>(events.largest(EventKind::kPause));
    const s64 forward_ns = events.largest(EventKind::kJumpForward);
    const s64 backward_ns = events.largest(EventKind::kJumpBackward);
    totals.jump_max_ns = static_cast<u64>(forward_ns > backward_ns ? forward_ns : backward_ns);
    return totals;
}

EventSpan event_span() {
    const EventsLock lock;
    return {events.ring().total(), events.ring().oldest()};
}

std::optional<Event> event_at(u64 sequence) {
    const EventsLock lock;
    return events.ring().at(sequence);
}

}  // namespace kvmpv
