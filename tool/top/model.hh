// SPDX-License-Identifier: GPL-2.0-only
// What `kvmpv top` shows, and what its keys do. It knows neither files nor terminals.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "change/change.hh"
#include "read/tree.hh"
#include "top/line.hh"

namespace kvmpv {

class TopModel {
public:
    explicit TopModel(std::int64_t interval_ns) : interval_ns_(interval_ns) {}

    void take(const Tree& reading);
    // In place of a reading: why there is none.
    void miss(const std::string& words);
    // Whether to go on.
    bool press(Key key);

    bool is_paused() const { return is_paused_; }
    bool has_figures() const { return shown_.has_value(); }
    std::vector<Line> screen(const Size& size) const;
    // The same as one line for programs.
    std::string json() const;

private:
    // What happened: an event, or what the figures do not say.
    struct Item {
        std::int64_t seen_ns = 0;
        std::string text;
    };

    void choose_shown();
    void keep(const Change& change);
    std::vector<const CpuChange*> sorted_cpus() const;
    Line title() const;
    Line clock() const;
    Line heading() const;
    Line help() const;
    std::vector<Line> body(const Size& size, std::size_t rows) const;
    std::vector<Line> cpu_lines(const Size& size, std::size_t most) const;
    std::vector<Line> loss_lines(std::size_t most) const;
    std::vector<Line> item_lines(std::size_t most) const;

    std::int64_t interval_ns_;
    std::optional<Tree> now_;
    std::optional<Tree> before_;
    std::optional<Tree> base_;     // what figures since a moment are compared with
    std::optional<Change> last_;   // between the last two readings
    std::optional<Change> shown_;  // that, or since base_
    std::string trouble_;
    std::deque<Item> items_;  // the newest comes first
    bool by_steal_ = true;    // otherwise by number
    bool shows_cgroups_ = false;
    bool is_since_base_ = false;
    bool is_paused_ = false;
    bool was_interrupted_ = false;  // the last two readings are further apart than they should be
    std::size_t first_ = 0;         // the CPU at the head of the list
};

// `width` letters: # for what was stolen, | for what the CPU ran, . for what it idled.
Line bar(std::size_t width, double stolen, double run, double idle);

}  // namespace kvmpv
