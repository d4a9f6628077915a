// SPDX-License-Identifier: GPL-2.0-only
#include "commands/status.hh"

#include <algorithm>

#include <fmt/format.h>

#include "read/sum.hh"
#include "rules/judges.hh"
#include "say/events.hh"
#include "say/json.hh"
#include "say/numbers.hh"

namespace kvmpv {
namespace {

constexpr double kPercent = 100;
constexpr double kGoodSteal = 0.05;
constexpr double kBadSteal = 0.20;

// One thing that the screen says: what, how it is, and the numbers that show it.
struct Line {
    std::string what;
    Colour colour = Colour::kNone;
    std::string verdict;
    std::string text;
};

struct Stolen {
    std::int64_t ns = 0;
    double part = 0;  // of all CPUs' time
    const StealCpu* worst = nullptr;
    std::int64_t worst_ns = 0;
};

Stolen stolen(const Look& look) {
    Stolen all;
    const std::vector<StealCpu>& cpus = *look.now.steal_cpus;
    for (const StealCpu& cpu : cpus) {
        const std::int64_t ns = look.stolen_ns(cpu);
        all.ns = sum(all.ns, ns);
        all.part += share(ns, look.elapsed_ns()) / static_cast<double>(cpus.size());
        if (all.worst == nullptr || ns > all.worst_ns) {
            all.worst = &cpu;
            all.worst_ns = ns;
        }
    }
    return all;
}

Colour colour_of_steal(double part) {
    return part < kGoodSteal ? Colour::kGreen : part < kBadSteal ? Colour::kYellow : Colour::kRed;
}

Line missing(const std::string& what, const std::string& file) {
    return {what, Colour::kYellow, "unknown", file + " could not be read."};
}

std::string how_it_is_read(const Tree& tree) {
    if (tree.clocksources->current != "kvmpv") return {};
    return tree.clock->yes("vdso") ? " Programs read it without a system call."
                                   : " Programs read it by system call.";
}

std::string disturbances(const Tree& tree) {
    const std::int64_t number = tree.clock->number("disruptions").value_or(0);
    return number == 0 ? " The host has not disturbed it since kvmpv was loaded (0 disruptions)."
                       : " The host has disturbed it since kvmpv was loaded: " +
                             count(number, "disruption") + ".";
}

Line clock_line(const Tree& tree) {
    if (!tree.clocksources) return missing("clock", "current_clocksource");
    const std::string& current = tree.clocksources->current;
    if (is_slow(current))
        return {
            "clock", Colour::kYellow, "slow",
            "The kernel keeps time by " + current + ": each read of it is an exit to the host."};
    if (!tree.clock) return missing("clock", "clock/state");
    const std::string by = "The kernel keeps time by " + current + ". ";
    if (tree.clock->yes("stable_revoked"))
        return {"clock", Colour::kRed, "bad",
                by +
                    "The host has broken its promise that all CPUs show the same time "
                    "(stable_revoked)." +
                    how_it_is_read(tree)};
    if (tree.clock->yes("alone"))
        return {"clock", Colour::kRed, "bad",
                by +
                    "The host has refused kvmpv's record after sleep (alone). The clock continues "
                    "by the TSC." +
                    how_it_is_read(tree)};
    if (!tree.clock->yes("registered"))
        return {"clock", Colour::kGreen, "good", by + "kvmpv's own clock is off; status says why."};
    if (tree.clock->text("path") == "guarded")
        return {"clock", Colour::kYellow, "fair",
                by + "The host does not promise that all CPUs show the same time (path guarded)." +
                    how_it_is_read(tree) + disturbances(tree)};
    return {"clock", Colour::kGreen, "good",
            by + "The host promises that all CPUs show the same time (path stable)." +
                how_it_is_read(tree) + disturbances(tree)};
}

std::string worst_cpu(const Stolen& all, std::size_t cpus) {
    if (all.worst == nullptr || cpus < 2 || all.worst_ns == 0) return {};
    return fmt::format(", most of it on CPU {}: {}", all.worst->cpu, duration(all.worst_ns));
}

Line steal_since_line(const Look& look) {
    const Stolen all = stolen(look);
    const std::size_t cpus = look.now.steal_cpus->size();
    return {"stolen now", colour_of_steal(all.part), percent(all.part * kPercent),
            fmt::format("In the last {} the host kept {} from running for {}{}.",
                        duration(look.elapsed_ns()), count(static_cast<std::int64_t>(cpus), "CPU"),
                        duration(all.ns), worst_cpu(all, cpus))};
}

Line steal_line(const Look& look) {
    const Look since_boot{look.now, {}};
    const Stolen all = stolen(since_boot);
    const std::size_t cpus = look.now.steal_cpus->size();
    const auto longest =
        std::max_element(look.now.steal_cpus->begin(), look.now.steal_cpus->end(),
                         [](const StealCpu& left, const StealCpu& right) {
                             return left.longest_ns.value_or(0) < right.longest_ns.value_or(0);
                         });
    // In owned mode the records begin when kvmpv is loaded, so there is nothing to divide by.
    const std::int64_t elapsed = since_boot.elapsed_ns();
    const std::string when = elapsed > 0 ? "In the " + duration(elapsed) + " since boot"
                                         : "Since kvmpv was first loaded";
    std::string text = fmt::format("{} the host kept {} from running for {}{}.", when,
                                   count(static_cast<std::int64_t>(cpus), "CPU"), duration(all.ns),
                                   worst_cpu(all, cpus));
    if (longest != look.now.steal_cpus->end() && longest->longest_ns.value_or(0) > 0)
        text += fmt::format(" The longest wait was {} on CPU {} and hit {}.",
                            duration(*longest->longest_ns), longest->cpu, longest->longest_comm);
    if (elapsed == 0) return {"stolen", Colour::kNone, duration(all.ns), text};
    return {"stolen", colour_of_steal(all.part), percent(all.part * kPercent), text};
}

Line interrupts_line(const Tree& tree) {
    if (!tree.status || !tree.eoi_cpus) return missing("interrupts", "eoi/cpus");
    const Feature* const feature = tree.status->feature("eoi");
    if (feature == nullptr) return missing("interrupts", "the row eoi of status");
    if (tree.eoi_cpus->empty())
        return {
            "interrupts", Colour::kNone, "not seen",
            "kvmpv does not end them, so it cannot say what that costs: " + feature->reason + "."};
    std::int64_t elided = 0;
    std::int64_t all = 0;
    for (const EoiCpu& cpu : *tree.eoi_cpus) {
        elided = sum(elided, cpu.elided);
        all = sum(all, sum(cpu.elided, cpu.written));
    }
    const double part = share(elided, all);
    const Colour colour = part >= 0.5 ? Colour::kGreen : Colour::kNone;
    std::string text = fmt::format(
        "{} of {} ended without a write to the APIC. Such a write may be an exit "
        "to the host.",
        elided, count(all, "interrupt"));
    for (const EoiCpu& cpu : *tree.eoi_cpus) {
        if (cpu.reason == "-" || cpu.reason.empty()) continue;
        text += fmt::format(" CPU {}: {}.", cpu.cpu, cpu.reason);
        break;
    }
    return {"interrupts", colour, percent(part * kPercent), text};
}

// How long ago by the clock of the running system. A copy has only the time with suspend.
Number age_ns(const Tree& tree, const Event& event) {
    const Number now = tree.monotonic_ns ? tree.monotonic_ns : tree.uptime_ns;
    if (!now || event.time_ns < 0 || *now < event.time_ns) return std::nullopt;
    return *now - event.time_ns;
}

Line event_line(const Tree& tree) {
    if (!tree.events) return missing("last event", "events");
    if (tree.events->kept.empty())
        return {"last event", Colour::kGreen, "none",
                "Nothing has happened to the clock or to steal time since kvmpv was loaded."};
    const Event& event = tree.events->kept.back();
    const std::string text = words_for(event) + fmt::format(", number {} of {} (events).",
                                                            event.seq, tree.events->count);
    const Number age = age_ns(tree, event);
    return {"last event", Colour::kYellow, age ? duration(*age) + " ago" : "seen", text};
}

std::vector<Line> lines_of(const Look& look) {
    const Tree& tree = look.now;
    std::vector<Line> lines{clock_line(tree)};
    if (!tree.steal_cpus) {
        lines.push_back(missing("stolen", "steal/cpus"));
    } else if (tree.steal_cpus->empty()) {
        const Feature* const feature = tree.status ? tree.status->feature("steal") : nullptr;
        lines.push_back({"stolen", Colour::kNone, "not seen",
                         "kvmpv does not follow steal time" +
                             (feature ? ": " + feature->reason : std::string()) + "."});
    } else {
        if (look.has_earlier()) lines.push_back(steal_since_line(look));
        lines.push_back(steal_line(look));
    }
    lines.push_back(interrupts_line(tree));
    lines.push_back(event_line(tree));
    return lines;
}

std::string title(const Tree& tree) {
    std::string text = "kvmpv " + (tree.status ? tree.status->version : std::string("?"));
    if (!tree.release.empty()) text += ", Linux " + tree.release;
    if (tree.steal_cpus && !tree.steal_cpus->empty())
        text += ", " + count(static_cast<std::int64_t>(tree.steal_cpus->size()), "CPU");
    if (tree.uptime_ns) text += ", up " + duration(*tree.uptime_ns);
    return text;
}

// What the doctor would have something to say about.
std::string advice(const Look& look) {
    const bool is_ill = std::any_of(rules().begin(), rules().end(), [&](const Rule& rule) {
        return rule.judge(look).severity >= Severity::kWarning;
    });
    return is_ill ? "kvmpv doctor says what is wrong and what to do.\n" : "";
}

nlohmann::json stolen_json(const Look& look) {
    const Stolen all = stolen(look);
    nlohmann::json cpus = nlohmann::json::array();
    for (const StealCpu& cpu : *look.now.steal_cpus)
        cpus.push_back({{"cpu", cpu.cpu}, {"stolen_ns", look.stolen_ns(cpu)}});
    return {{"elapsed_ns", look.elapsed_ns()},
            {"stolen_ns", all.ns},
            {"stolen_percent", all.part * kPercent},
            {"cpus", cpus}};
}

nlohmann::json clock_json(const Tree& tree) {
    nlohmann::json clock;
    if (tree.clocksources) clock["current"] = tree.clocksources->current;
    if (!tree.clock) return clock;
    for (const char* name : {"path", "vdso", "stable_revoked", "alone"})
        if (tree.clock->has(name)) clock[name] = tree.clock->text(name);
    clock["disruptions"] = json_of(tree.clock->number("disruptions"));
    return clock;
}

nlohmann::json interrupts_json(const Tree& tree) {
    nlohmann::json cpus = nlohmann::json::array();
    if (tree.eoi_cpus)
        for (const EoiCpu& cpu : *tree.eoi_cpus)
            cpus.push_back({{"cpu", cpu.cpu},
                            {"elided", cpu.elided},
                            {"written", cpu.written},
                            {"reason", cpu.reason}});
    return cpus;
}

}  // namespace

std::string status_text(const Look& look, const Terminal& terminal) {
    const std::vector<Line> lines = lines_of(look);
    std::size_t verdicts = 0;
    for (const Line& line : lines) verdicts = std::max(verdicts, line.verdict.size());
    std::string text = title(look.now) + "\n\n";
    for (const Line& line : lines) {
        const std::string padded = fmt::format("{:<{}}  ", line.verdict, verdicts);
        text += beside(terminal,
                       fmt::format("{:<12}", line.what) + coloured(terminal, line.colour, padded),
                       12 + padded.size(), line.text);
    }
    for (const std::string& note : look.now.notes) text += "\nNote: " + note;
    if (!look.now.notes.empty()) text += '\n';
    const std::string last = advice(look);
    return last.empty() ? text : text + '\n' + last;
}

std::string status_json(const Look& look) {
    const Tree& tree = look.now;
    nlohmann::json all;
    all["version"] = 1;
    all["module"] = tree.status ? tree.status->version : "";
    all["kernel"] = tree.release;
    all["uptime_ns"] = json_of(tree.uptime_ns);
    for (const Line& line : lines_of(look))
        all["says"][line.what] = {{"verdict", line.verdict}, {"text", line.text}};
    if (tree.status)
        for (const Feature& feature : tree.status->features)
            all["features"][feature.name] = {{"mode", feature.mode}, {"reason", feature.reason}};
    all["clock"] = clock_json(tree);
    if (tree.steal_cpus) {
        all["steal"]["since_boot"] = stolen_json(Look{tree, {}});
        if (look.has_earlier()) all["steal"]["between_looks"] = stolen_json(look);
    }
    all["interrupts"] = interrupts_json(tree);
    all["last_event"] = nullptr;
    if (tree.events && !tree.events->kept.empty())
        all["last_event"] = json_of(tree.events->kept.back());
    all["notes"] = tree.notes;
    return all.dump(2) + '\n';
}

}  // namespace kvmpv
