// SPDX-License-Identifier: GPL-2.0-only
#include "record/totals.hh"

#include <algorithm>

#include "read/sum.hh"
#include "say/numbers.hh"

namespace kvmpv {
namespace {

// A recording may be of weeks, and no report shows more.
constexpr std::size_t kMostKept = 1000;

void keep_first_and_last(const std::optional<Charges>& reading, std::optional<Charges>& first,
                         std::optional<Charges>& last) {
    if (!reading) return;
    if (!first) first = reading;
    last = reading;
}

Number longest_of(const std::optional<Tree>& tree, std::int64_t cpu) {
    if (!tree || !tree->steal_cpus) return std::nullopt;
    for (const StealCpu& row : *tree->steal_cpus)
        if (row.cpu == cpu) return row.longest_ns;
    return std::nullopt;
}

}  // namespace

void Totals::remark(const std::string& sentence) {
    if (remarks_.size() < kMostKept) remarks_.push_back({elapsed_ns_, sentence});
}

// The module has the longest burst since the last reset. It is one of the recording if it was not
// there at the reading before.
void Totals::add_longest(const CpuChange& change, const Tree& reading, Cpu& cpu) const {
    const Number now = longest_of(reading, change.cpu);
    if (!now) return;
    const Number before = longest_of(before_, change.cpu);
    const bool is_new = !before || *now > *before || change.bursts.course == Course::kRestarted;
    if (is_new && (cpu.longest_is_older || *now > cpu.longest_ns)) {
        cpu.longest_ns = *now;
        cpu.longest_comm = change.longest_comm;
        cpu.longest_is_older = false;
    } else if (cpu.longest_ns == 0) {
        cpu.longest_ns = *now;
        cpu.longest_is_older = *now > 0;
    }
}

void Totals::add(const Change& change) {
    const std::int64_t passed = change.elapsed_ns.value_or(0);
    elapsed_ns_ = sum(elapsed_ns_, passed);
    for (const CpuChange& each : change.cpus) {
        Cpu& cpu = cpus_[each.cpu];
        if (each.stolen_ns.is_known()) {
            cpu.known_ns = sum(cpu.known_ns, passed);
            cpu.stolen_ns = sum(cpu.stolen_ns, each.stolen_ns.by);
            cpu.most_ns = std::max(cpu.most_ns, each.stolen_ns.by);
        } else {
            remark("CPU " + std::to_string(each.cpu) + ": stolen time " +
                   word_for(each.stolen_ns.course) + ".");
        }
        if (each.run_ns.is_known() && each.idle_ns.is_known()) {
            cpu.timed_ns = sum(cpu.timed_ns, passed);
            cpu.run_ns = sum(cpu.run_ns, each.run_ns.by);
            cpu.idle_ns = sum(cpu.idle_ns, each.idle_ns.by);
        }
        cpu.bursts = sum(cpu.bursts, each.bursts.by);
        cpu.elided = sum(cpu.elided, each.elided.by);
        cpu.written = sum(cpu.written, each.written.by);
    }
    for (const std::string& sentence : change.remarks) remark(sentence);
    for (const Event& event : change.events)
        if (events_.size() < kMostKept) events_.push_back({elapsed_ns_, event});
}

void Totals::take(const Tree& reading) {
    ++readings_;
    keep_first_and_last(reading.tasks, first_tasks_, last_tasks_);
    keep_first_and_last(reading.cgroups, first_cgroups_, last_cgroups_);
    if (!reading.steal_cpus) {
        if (!was_unreadable_)
            remark(reading.notes.empty() ? "The module's files could not be read."
                                         : reading.notes.front() + ".");
        was_unreadable_ = true;
    } else {
        was_unreadable_ = false;
    }
    if (before_) {
        const Change change = compare(*before_, reading, interval_ns_);
        add(change);
        if (change.has_restarted) {
            first_tasks_ = Charges{false, 0, {}};
            first_cgroups_ = first_tasks_;
        }
        for (const CpuChange& each : change.cpus) add_longest(each, reading, cpus_[each.cpu]);
    }
    const std::string loading = before_ ? before_->loading : std::string();
    before_ = reading;
    // While the module is away, there is nothing to tell its next loading from this one by.
    if (before_->loading.empty()) before_->loading = loading;
}

std::int64_t Totals::stolen_ns() const {
    std::int64_t all = 0;
    for (const auto& [number, cpu] : cpus_) all = sum(all, cpu.stolen_ns);
    return all;
}

double Totals::stolen_part() const {
    std::int64_t known = 0;
    for (const auto& [number, cpu] : cpus_) known = sum(known, cpu.known_ns);
    return share(stolen_ns(), known);
}

}  // namespace kvmpv
