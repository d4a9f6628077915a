// SPDX-License-Identifier: GPL-2.0-only
// Events in words.
#pragma once

#include <cstdint>
#include <string>

#include "read/tree.hh"

namespace kvmpv {

// "pause of 48.0 ms on CPU 1"
std::string words_for(const Event& event);
// What such an event means, in a few words. Empty if this program does not know it.
std::string meaning_of(const std::string& event);
// "2026-11-27 21:30:05.123", in the user's time zone.
std::string date_and_time(std::int64_t realtime_ns);

}  // namespace kvmpv
