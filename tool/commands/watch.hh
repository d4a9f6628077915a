// SPDX-License-Identifier: GPL-2.0-only
// `kvmpv watch`: each event of the clock and of steal time, as it comes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "read/files.hh"
#include "read/tree.hh"
#include "read/trouble.hh"

namespace kvmpv {

struct WatchOptions {
    bool json = false;
    bool all = false;        // begin with those that the module has kept
    std::int64_t count = 0;  // end after so many; 0: do not end
    std::string command;     // for each event, a line for /bin/sh; may be empty
};

// Until the count is reached, or something is wrong. A copy has only the events that were kept.
std::optional<Trouble> watch(const Files& files, const WatchOptions& options);

// `to_realtime_ns` is CLOCK_REALTIME minus CLOCK_MONOTONIC.
std::string watch_text(const Event& event, std::int64_t to_realtime_ns);
std::string watch_json(const Event& event, std::int64_t to_realtime_ns);
std::string missed_text(std::int64_t missed);
std::string missed_json(std::int64_t missed);
// What the command finds in its environment. The values are never part of its text.
std::vector<std::string> environment_of(const Event& event);

}  // namespace kvmpv
