// SPDX-License-Identifier: GPL-2.0-only

#include "events.hh"

namespace kvmpv {

constinit Events events;

void Events::add(const Event& event) {
    const u32 kind = static_cast<u32>(event.kind);
    ring_.append(event);
    ++count_[kind];
    if (event.value > largest_[kind]) largest_[kind] = event.value;
    if (info(event.kind).is_disruption) ++disruptions_;
}

}  // namespace kvmpv
