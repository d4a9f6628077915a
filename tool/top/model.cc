// SPDX-License-Identifier: GPL-2.0-only
#include "top/model.hh"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "change/json.hh"
#include "read/sum.hh"
#include "say/events.hh"
#include "say/json.hh"
#include "say/numbers.hh"

namespace kvmpv {
namespace {

constexpr double kPercent = 100;
constexpr double kGoodSteal = 0.05;
constexpr double kBadSteal = 0.20;
constexpr std::size_t kKept = 8;  // items
// A terminal that is lower has no room for what explains the figures.
constexpr std::size_t kLowest = 4;
// Where there is no height that limits it.
constexpr std::size_t kUnlimited = 100'000;
constexpr std::size_t kMostLosses = 40;
// The columns before the bar, and the shortest bar that says anything.
constexpr std::size_t kColumns = 48;
constexpr std::size_t kShortestBar = 10;
constexpr const char* kHelp =
    "q quit  s sort  c tasks/cgroups  t total  r from now  p pause  j k scroll";

Colour colour_of(double stolen) {
    return stolen < kGoodSteal  ? Colour::kNone
           : stolen < kBadSteal ? Colour::kYellow
                                : Colour::kRed;
}

// The part of the time that passed, or a word.
std::string share_or_word(const Growth& growth, const Number& elapsed_ns) {
    if (!growth.is_known()) return word_for(growth.course);
    if (!elapsed_ns) return "-";
    return percent(share(growth.by, *elapsed_ns) * kPercent);
}

double part(const Growth& growth, const Number& elapsed_ns) {
    return growth.is_known() && elapsed_ns ? share(growth.by, *elapsed_ns) : 0;
}

// Which part of the interrupts ended without a write to the APIC.
std::string elided(const CpuChange& cpu) {
    if (!cpu.elided.is_known() || !cpu.written.is_known()) return "-";
    const std::int64_t all = sum(cpu.elided.by, cpu.written.by);
    return all > 0 ? percent(share(cpu.elided.by, all) * kPercent) : "-";
}

std::int64_t moment(const Tree& tree) {
    return tree.monotonic_ns ? *tree.monotonic_ns : tree.uptime_ns.value_or(0);
}

void append(std::vector<Line>& lines, std::vector<Line> more) {
    std::move(more.begin(), more.end(), std::back_inserter(lines));
}

void cut(Line& line, std::size_t columns) {
    std::size_t left = columns;
    for (Span& span : line) {
        if (span.text.size() > left) span.text.resize(left);
        left -= span.text.size();
    }
}

}  // namespace

Line bar(std::size_t width, double stolen, double run, double idle) {
    Line line;
    std::size_t filled = 0;
    double all = 0;
    const auto fill = [&](double part, char letter, Colour colour) {
        all += std::max(part, 0.0);
        const auto until =
            static_cast<std::size_t>(std::lround(std::min(all, 1.0) * static_cast<double>(width)));
        line.push_back({std::string(until - filled, letter), colour, false});
        filled = until;
    };
    fill(stolen, '#', Colour::kRed);
    fill(run, '|', Colour::kGreen);
    fill(idle, '.', Colour::kNone);
    line.push_back({std::string(width - filled, ' '), Colour::kNone, false});
    return line;
}

void TopModel::take(const Tree& reading) {
    trouble_.clear();
    before_ = std::move(now_);
    now_ = reading;
    if (!base_) base_ = reading;
    if (before_) {
        last_ = compare(*before_, *now_, was_interrupted_ ? 0 : interval_ns_);
        keep(*last_);
    }
    was_interrupted_ = false;
    choose_shown();
}

void TopModel::miss(const std::string& words) {
    trouble_ = words;
    was_interrupted_ = true;
}

void TopModel::keep(const Change& change) {
    const std::int64_t seen = moment(*now_);
    for (const std::string& sentence : change.remarks) items_.push_front({seen, sentence});
    for (const Event& event : change.events) {
        const std::string meaning = meaning_of(event.name);
        items_.push_front(
            {seen, words_for(event) + (meaning.empty() ? std::string() : ": " + meaning)});
    }
    if (items_.size() > kKept) items_.resize(kKept);
}

void TopModel::choose_shown() {
    shown_ = is_since_base_ && base_ && now_ ? std::optional(compare(*base_, *now_)) : last_;
}

bool TopModel::press(Key key) {
    switch (key) {
        case Key::kQuit: return false;
        case Key::kSort: by_steal_ = !by_steal_; break;
        case Key::kCharges: shows_cgroups_ = !shows_cgroups_; break;
        case Key::kSince: is_since_base_ = !is_since_base_; break;
        case Key::kAnew:
            base_ = now_;
            is_since_base_ = true;
            break;
        case Key::kPause:
            is_paused_ = !is_paused_;
            was_interrupted_ = true;
            break;
        case Key::kUp: first_ -= first_ > 0; break;
        case Key::kDown:
            if (shown_ && first_ + 1 < shown_->cpus.size()) ++first_;
            break;
        case Key::kNone: break;
    }
    choose_shown();
    return true;
}

std::vector<const CpuChange*> TopModel::sorted_cpus() const {
    std::vector<const CpuChange*> cpus;
    for (const CpuChange& cpu : shown_->cpus) cpus.push_back(&cpu);
    if (by_steal_)
        std::stable_sort(cpus.begin(), cpus.end(), [](const auto* left, const auto* right) {
            return left->stolen_ns.by > right->stolen_ns.by;
        });
    return cpus;
}

Line TopModel::title() const {
    Line line{{"kvmpv top  "}};
    if (!trouble_.empty()) return line;
    if (is_paused_) line.push_back({"paused  ", Colour::kYellow, false});
    if (!shown_) {
        line.push_back({"the first figures come in " + duration(interval_ns_)});
        return line;
    }
    const double stolen = shown_->stolen_part();
    line.push_back({"stolen " + percent(stolen * kPercent), colour_of(stolen), false});
    const std::string passed =
        shown_->elapsed_ns ? duration(*shown_->elapsed_ns) : std::string("an unknown time");
    line.push_back({fmt::format("  {} {} {}", duration(shown_->stolen_ns()),
                                is_since_base_ ? "since" : "in the last",
                                passed + (is_since_base_ ? " ago" : ""))});
    line.push_back(
        {fmt::format("  {}", count(static_cast<std::int64_t>(shown_->cpus.size()), "CPU"))});
    return line;
}

Line TopModel::clock() const {
    Line line{{"clock "}};
    line.push_back({now_ && now_->clocksources ? now_->clocksources->current : std::string("?")});
    if (!now_ || !now_->clock) return line;
    const Fields& clock = *now_->clock;
    if (clock.has("path")) {
        const bool is_stable = clock.text("path") == "stable";
        line.push_back({", kvmpv's path "});
        line.push_back({clock.text("path"), is_stable ? Colour::kGreen : Colour::kYellow, false});
    }
    if (const Number disruptions = clock.number("disruptions"))
        line.push_back({", " + count(*disruptions, "disruption") + " since it was loaded",
                        *disruptions > 0 ? Colour::kYellow : Colour::kNone, false});
    return line;
}

Line TopModel::heading() const {
    return {{fmt::format("{:>3}  {:<11}{:<8}{:<8}{:<9}{:<7}{:<32}", "CPU", "stolen", "run", "idle",
                         "longest", "EOI", "# stolen  | run  . idle"),
             Colour::kNone, true}};
}

Line TopModel::help() const { return {{kHelp, Colour::kNone, true}}; }

std::vector<Line> TopModel::cpu_lines(const Size& size, std::size_t most) const {
    const bool has_bar = size.columns >= kColumns + kShortestBar + 2;
    const std::vector<const CpuChange*> cpus = sorted_cpus();
    // So that the list does not end above the last line.
    const std::size_t begin = std::min(first_, cpus.size() - std::min(cpus.size(), most));
    std::vector<Line> lines;
    for (std::size_t at = begin; at < cpus.size() && lines.size() < most; ++at) {
        const CpuChange& cpu = *cpus[at];
        const double stolen = part(cpu.stolen_ns, shown_->elapsed_ns);
        Line line{
            {fmt::format("{:>3}  ", cpu.cpu)},
            {fmt::format("{:<11}", share_or_word(cpu.stolen_ns, shown_->elapsed_ns)),
             colour_of(stolen), false},
            {fmt::format("{:<8}{:<8}{:<9}{:<7}", share_or_word(cpu.run_ns, shown_->elapsed_ns),
                         share_or_word(cpu.idle_ns, shown_->elapsed_ns),
                         cpu.longest_ns ? duration(*cpu.longest_ns) : "-", elided(cpu))}};
        if (has_bar) {
            line.push_back({"["});
            for (Span& span :
                 bar(size.columns - kColumns - 2, stolen, part(cpu.run_ns, shown_->elapsed_ns),
                     part(cpu.idle_ns, shown_->elapsed_ns)))
                line.push_back(std::move(span));
            line.push_back({"]"});
        }
        lines.push_back(std::move(line));
    }
    return lines;
}

std::vector<Line> TopModel::loss_lines(std::size_t most) const {
    const char* const what = shows_cgroups_ ? "cgroup" : "task";
    const std::vector<Loss>& losses = shows_cgroups_ ? shown_->cgroups : shown_->tasks;
    std::vector<Line> lines{
        {{fmt::format("{:<11}{:<8}{:<8}{:<53}", "lost", "share", shows_cgroups_ ? "" : "PID", what),
          Colour::kNone, true}}};
    const std::optional<Charges>& charges = shows_cgroups_ ? now_->cgroups : now_->tasks;
    if (losses.empty()) {
        const bool is_on = charges && charges->is_on;
        lines.push_back({{is_on ? "Nothing was stolen from any of them."
                                : "kvmpv set steal/attribution 1 shows who loses the time."}});
        return lines;
    }
    std::int64_t all = 0;
    for (const Loss& loss : losses) all = sum(all, loss.ns);
    for (const Loss& loss : losses) {
        if (lines.size() == most) break;
        const bool has_pid = !shows_cgroups_ && loss.id;
        lines.push_back({{fmt::format(
            "{:<11}{:<8}{:<8}{}", duration(loss.ns), percent(share(loss.ns, all) * kPercent),
            has_pid ? std::to_string(*loss.id) : "", loss.what == what ? loss.name : loss.what)}});
    }
    return lines;
}

std::vector<Line> TopModel::item_lines(std::size_t most) const {
    std::vector<Line> lines;
    const std::int64_t now = now_ ? moment(*now_) : 0;
    for (const Item& item : items_) {
        if (lines.size() == most) break;
        const std::int64_t age = growth(item.seen_ns, now).by;
        lines.push_back({{age < interval_ns_ ? "now: " : duration(age) + " ago: "},
                         {item.text, Colour::kYellow, false}});
    }
    return lines;
}

// Half of it is for the CPUs, and what they do not need is for who lost the time.
std::vector<Line> TopModel::body(const Size& size, std::size_t rows) const {
    const std::vector<Line> items = item_lines(rows >= 12 ? 4 : rows >= 4 ? 1 : 0);
    const std::size_t room = rows - items.size();
    const std::vector<Loss>& losses = shows_cgroups_ ? shown_->cgroups : shown_->tasks;
    const std::size_t wanted = 1 + std::max<std::size_t>(losses.size(), 1);
    const std::size_t for_losses = room >= 6 ? std::min({wanted, room / 2, kMostLosses}) : 0;
    std::vector<Line> lines = cpu_lines(size, room - for_losses);
    if (for_losses > 0) append(lines, loss_lines(std::min(room - lines.size(), kMostLosses)));
    append(lines, items);
    return lines;
}

std::vector<Line> TopModel::screen(const Size& size) const {
    const std::size_t rows = size.rows > 0 ? size.rows : kUnlimited;
    const bool is_low = rows <= kLowest;
    std::vector<Line> lines{title()};
    if (!trouble_.empty()) {
        for (const std::string& line : wrap(trouble_, size.columns))
            lines.push_back({{line, Colour::kYellow, false}});
    } else if (shown_) {
        if (!is_low) {
            lines.push_back(clock());
            lines.push_back(heading());
        }
        const std::size_t taken = lines.size() + (is_low ? 0 : 1);
        append(lines, body(size, rows - std::min(rows, taken)));
    }
    if (!is_low && size.rows > 0) {
        lines.resize(rows - 1);
        lines.push_back(help());
    }
    if (lines.size() > rows) lines.resize(rows);
    for (Line& line : lines) cut(line, size.columns);
    return lines;
}

std::string TopModel::json() const {
    nlohmann::json all;
    all["version"] = 1;
    all["monotonic_ns"] = now_ ? json_of(now_->monotonic_ns) : nlohmann::json(nullptr);
    if (!trouble_.empty() || !shown_) {
        all["trouble"] = trouble_;
        return all.dump() + '\n';
    }
    all["elapsed_ns"] = json_of(shown_->elapsed_ns);
    all["stolen_ns"] = shown_->stolen_ns();
    all["stolen_percent"] = shown_->stolen_part() * kPercent;
    all["cpus"] = nlohmann::json::array();
    for (const CpuChange& cpu : shown_->cpus)
        all["cpus"].push_back({{"cpu", cpu.cpu},
                               {"word", word_for(cpu.stolen_ns.course)},
                               {"stolen_ns", json_of(cpu.stolen_ns)},
                               {"run_ns", json_of(cpu.run_ns)},
                               {"idle_ns", json_of(cpu.idle_ns)},
                               {"bursts", json_of(cpu.bursts)},
                               {"elided", json_of(cpu.elided)},
                               {"written", json_of(cpu.written)},
                               {"longest_ns", json_of(cpu.longest_ns)},
                               {"longest_comm", cpu.longest_comm}});
    all["tasks"] = json_of(shown_->tasks);
    all["cgroups"] = json_of(shown_->cgroups);
    all["events"] = nlohmann::json::array();
    for (const Event& event : shown_->events) all["events"].push_back(json_of(event));
    all["remarks"] = shown_->remarks;
    return all.dump() + '\n';
}

}  // namespace kvmpv
