// SPDX-License-Identifier: GPL-2.0-only
#include "commands/report.hh"

#include <algorithm>
#include <istream>

#include <fmt/format.h>

#include "change/json.hh"
#include "read/sum.hh"
#include "say/columns.hh"
#include "say/events.hh"
#include "say/json.hh"
#include "say/numbers.hh"

namespace kvmpv {
namespace {

constexpr double kPercent = 100;
constexpr std::size_t kMostRows = 20;

std::string percent_of(std::int64_t part, std::int64_t whole) {
    return whole > 0 ? percent(share(part, whole) * kPercent) : "-";
}

std::string title(const Report& report) {
    std::string text =
        fmt::format("{} recorded on {}", duration(report.totals.elapsed_ns()),
                    count(static_cast<std::int64_t>(report.totals.cpus().size()), "CPU"));
    if (report.heading.realtime_ns) text += ", from " + date_and_time(*report.heading.realtime_ns);
    text += fmt::format(", {}, kvmpv {}, Linux {}", count(report.totals.readings(), "reading"),
                        report.heading.module, report.heading.kernel);
    if (report.ending) text += "; " + report.ending->why;
    return text;
}

std::string command_line(const Report& report) {
    std::string text;
    for (const std::string& word : report.heading.command) text += " " + word;
    if (text.empty()) return {};
    const bool has_status = report.ending && report.ending->exit_status;
    return "Command:" + text +
           (has_status ? fmt::format(" (exit status {})", *report.ending->exit_status) : "") + "\n";
}

std::string longest(const Totals::Cpu& cpu) {
    if (cpu.longest_ns == 0) return "-";
    if (cpu.longest_is_older) return "<= " + duration(cpu.longest_ns);
    return duration(cpu.longest_ns) + ", " + cpu.longest_comm;
}

std::string cpus_text(const Totals& totals) {
    std::vector<std::vector<std::string>> rows{
        {"CPU", "stolen", "", "run", "idle", "bursts", "EOIs elided", "longest burst"}};
    for (const auto& [number, cpu] : totals.cpus())
        rows.push_back({std::to_string(number), percent_of(cpu.stolen_ns, cpu.known_ns),
                        duration(cpu.stolen_ns), percent_of(cpu.run_ns, cpu.timed_ns),
                        percent_of(cpu.idle_ns, cpu.timed_ns), std::to_string(cpu.bursts),
                        percent_of(cpu.elided, sum(cpu.elided, cpu.written)), longest(cpu)});
    return columns(rows);
}

// `key` heads the column of the numbers; a cgroup's says nothing to people.
std::string losses_text(const std::vector<Loss>& losses, std::int64_t all, const char* key) {
    std::vector<std::vector<std::string>> rows;
    for (const Loss& loss : losses) {
        if (rows.size() == kMostRows) break;
        const bool is_named = loss.what == "task" || loss.what == "cgroup";
        rows.push_back({"  " + duration(loss.ns), percent_of(loss.ns, all),
                        loss.what == "task" && loss.id ? std::to_string(*loss.id) : "",
                        is_named ? loss.name : loss.what});
    }
    std::string text = fmt::format("\nWhich {} lost the time:\n", key) + columns(rows);
    if (losses.size() > rows.size())
        text += fmt::format("  and {} more\n", losses.size() - rows.size());
    return text;
}

std::string who_lost(const Report& report) {
    const auto tasks = report.totals.tasks();
    if (!tasks || (tasks->empty() && !report.totals.is_attributed()))
        return "\nWhich tasks lost the time was not recorded: kvmpv set steal/attribution 1\n";
    std::int64_t all = 0;
    for (const Loss& loss : *tasks) all = sum(all, loss.ns);
    std::string text = losses_text(*tasks, all, "tasks");
    const auto cgroups = report.totals.cgroups();
    if (cgroups && cgroups->size() > 1) text += losses_text(*cgroups, all, "cgroups");
    return text;
}

std::string events_text(const Totals& totals) {
    if (totals.events().empty()) return {};
    std::string text = "\nEvents:\n";
    for (const Totals::Timed& each : totals.events())
        text += fmt::format("  before {}: {}\n", duration(each.at_ns), words_for(each.event));
    return text;
}

std::string remarks_text(const Report& report, const Terminal& terminal) {
    std::string text;
    for (const Totals::Remark& each : report.totals.remarks())
        text += beside(terminal, "  ", 2, "at " + duration(each.at_ns) + ": " + each.sentence);
    return text.empty() ? text : "\nWhat the figures do not say:\n" + text;
}

nlohmann::json cpus_json(const Totals& totals) {
    nlohmann::json rows = nlohmann::json::array();
    for (const auto& [number, cpu] : totals.cpus())
        rows.push_back({{"cpu", number},
                        {"known_ns", cpu.known_ns},
                        {"stolen_ns", cpu.stolen_ns},
                        {"timed_ns", cpu.timed_ns},
                        {"run_ns", cpu.run_ns},
                        {"idle_ns", cpu.idle_ns},
                        {"bursts", cpu.bursts},
                        {"elided", cpu.elided},
                        {"written", cpu.written},
                        {"most_between_readings_ns", cpu.most_ns},
                        {"longest_ns", cpu.longest_ns},
                        {"longest_is_older", cpu.longest_is_older},
                        {"longest_comm", cpu.longest_comm}});
    return rows;
}

nlohmann::json losses_json(const std::optional<std::vector<Loss>>& losses) {
    return losses ? json_of(*losses) : nlohmann::json(nullptr);
}

}  // namespace

Report read_report(std::istream& lines) {
    Report report;
    Recording recording(lines);
    report.trouble = recording.begin();
    if (report.trouble) return report;
    report.heading = recording.heading();
    report.totals = Totals(report.heading.interval_ns);
    while (const std::optional<Tree> reading = recording.next()) report.totals.take(*reading);
    report.ending = recording.ending();
    report.damage = recording.damage();
    return report;
}

std::string report_text(const Report& report, const Terminal& terminal) {
    const Totals& totals = report.totals;
    std::string text;
    for (const std::string& line : wrap(title(report), terminal.width)) text += line + '\n';
    text += command_line(report) + '\n';
    if (totals.cpus().empty()) {
        text += "There are no two readings to compare.\n";
    } else {
        text += beside(
            terminal, "", 0,
            fmt::format("The host kept the CPUs from running for {} of their time: {}.",
                        percent(totals.stolen_part() * kPercent), duration(totals.stolen_ns())));
        text += '\n' + cpus_text(totals) + who_lost(report);
    }
    text += events_text(totals) + remarks_text(report, terminal);
    if (!report.damage.empty()) text += "\nThe recording is damaged:\n";
    for (const std::string& sentence : report.damage) text += beside(terminal, "  ", 2, sentence);
    return text;
}

std::string report_json(const Report& report) {
    const Totals& totals = report.totals;
    nlohmann::json all;
    all["version"] = 1;
    all["module"] = report.heading.module;
    all["kernel"] = report.heading.kernel;
    all["command"] = report.heading.command;
    all["realtime_ns"] = json_of(report.heading.realtime_ns);
    all["interval_ns"] = report.heading.interval_ns;
    all["readings"] = totals.readings();
    all["elapsed_ns"] = totals.elapsed_ns();
    all["stolen_ns"] = totals.stolen_ns();
    all["stolen_percent"] = totals.stolen_part() * kPercent;
    all["cpus"] = cpus_json(totals);
    all["tasks"] = losses_json(totals.tasks());
    all["cgroups"] = losses_json(totals.cgroups());
    all["events"] = nlohmann::json::array();
    for (const Totals::Timed& each : totals.events()) all["events"].push_back(json_of(each.event));
    all["remarks"] = nlohmann::json::array();
    for (const Totals::Remark& each : totals.remarks())
        all["remarks"].push_back({{"at_ns", each.at_ns}, {"text", each.sentence}});
    all["ended"] = report.ending ? nlohmann::json(report.ending->why) : nlohmann::json(nullptr);
    all["exit_status"] =
        report.ending ? json_of(report.ending->exit_status) : nlohmann::json(nullptr);
    all["damage"] = report.damage;
    return all.dump(2) + '\n';
}

}  // namespace kvmpv
