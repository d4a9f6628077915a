// SPDX-License-Identifier: GPL-2.0-only
// What the readings of a recording add up to.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "change/change.hh"
#include "read/tree.hh"

namespace kvmpv {

class Totals {
public:
    struct Cpu {
        std::int64_t known_ns = 0;  // of how much time it is known what was stolen
        std::int64_t stolen_ns = 0;
        std::int64_t timed_ns = 0;  // of how much time it is known how long it ran
        std::int64_t run_ns = 0;
        std::int64_t idle_ns = 0;
        std::int64_t bursts = 0;
        std::int64_t elided = 0;
        std::int64_t written = 0;
        std::int64_t most_ns = 0;       // stolen between two readings
        std::int64_t longest_ns = 0;    // the longest burst
        bool longest_is_older = false;  // it was before the recording, so there was no longer one
        std::string longest_comm;
    };
    struct Remark {
        std::int64_t at_ns = 0;  // since the first reading
        std::string sentence;
    };
    struct Timed {
        std::int64_t at_ns = 0;
        Event event;
    };

    explicit Totals(std::int64_t interval_ns) : interval_ns_(interval_ns) {}

    void take(const Tree& reading);

    std::int64_t readings() const { return readings_; }
    std::int64_t elapsed_ns() const { return elapsed_ns_; }
    std::int64_t stolen_ns() const;
    double stolen_part() const;  // of the time of which it is known
    const std::map<std::int64_t, Cpu>& cpus() const { return cpus_; }
    const std::vector<Timed>& events() const { return events_; }
    const std::vector<Remark>& remarks() const { return remarks_; }
    // Nothing if the recording does not tell.
    std::optional<std::vector<Loss>> tasks() const { return losses(first_tasks_, last_tasks_); }
    std::optional<std::vector<Loss>> cgroups() const {
        return losses(first_cgroups_, last_cgroups_);
    }
    bool is_attributed() const { return last_tasks_ && last_tasks_->is_on; }

private:
    void add(const Change& change);
    void add_longest(const CpuChange& change, const Tree& reading, Cpu& cpu) const;
    void remark(const std::string& sentence);

    std::int64_t interval_ns_;
    std::int64_t readings_ = 0;
    std::int64_t elapsed_ns_ = 0;
    bool was_unreadable_ = false;
    std::optional<Tree> before_;
    std::map<std::int64_t, Cpu> cpus_;
    std::vector<Timed> events_;
    std::vector<Remark> remarks_;
    std::optional<Charges> first_tasks_, last_tasks_, first_cgroups_, last_cgroups_;
};

}  // namespace kvmpv
