// SPDX-License-Identifier: GPL-2.0-only
// What has changed between two readings of the same guest.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "change/growth.hh"
#include "read/tree.hh"

namespace kvmpv {

struct CpuChange {
    std::int64_t cpu = 0;
    Course course = Course::kUnknown;  // kGrew: it was there at both readings
    Growth stolen_ns;
    Growth bursts;
    Growth run_ns;   // to 10 ms
    Growth idle_ns;  // to 10 ms
    Growth elided;
    Growth written;
    Number longest_ns;  // since the last reset, not between the two readings
    std::string longest_comm;
};

// What a task or a cgroup has lost.
struct Loss {
    std::string what;  // as Charge
    Number id;
    std::string name;
    std::int64_t ns = 0;
};

struct Change {
    Number elapsed_ns;            // nothing if the two moments cannot be compared
    std::vector<CpuChange> cpus;  // all of both readings, by their numbers
    bool has_restarted = false;   // bursts and charges count from 0 again
    std::vector<Loss> tasks;      // who lost most comes first
    std::vector<Loss> cgroups;
    std::vector<Event> events;         // that came in between, the oldest first
    std::int64_t missed_events = 0;    // more of them, which had been overwritten
    std::vector<std::string> remarks;  // what the figures do not say, in sentences

    // Of the CPUs whose growth is known.
    std::int64_t stolen_ns() const;
    double stolen_part() const;
};

// `asked_ns`: how far apart the readings were meant to be. 0: that is not known.
Change compare(const Tree& earlier, const Tree& now, std::int64_t asked_ns = 0);

// Who lost time between the two. Nothing if they cannot be compared.
std::optional<std::vector<Loss>> losses(const std::optional<Charges>& earlier,
                                        const std::optional<Charges>& now);

// The entries after number `last`.
struct News {
    std::vector<Event> events;
    std::int64_t missed = 0;     // overwritten before they could be read
    bool has_restarted = false;  // the numbers have begun anew: `events` are all that are kept
};

News news(std::int64_t last, const Events& now);

}  // namespace kvmpv
