// SPDX-License-Identifier: GPL-2.0-only
#include "commands/doctor.hh"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "say/numbers.hh"

namespace kvmpv {
namespace {

Colour colour_of(Severity severity) {
    switch (severity) {
        case Severity::kFine: return Colour::kGreen;
        case Severity::kNote: return Colour::kNone;
        case Severity::kCritical: return Colour::kRed;
        default: return Colour::kYellow;
    }
}

std::string name_for_nagios(Severity severity) {
    return severity == Severity::kNote ? "OK" : name_of(severity);
}

std::int64_t number_of(const Diagnosis& diagnosis, Severity severity) {
    return std::count_if(
        diagnosis.judged.begin(), diagnosis.judged.end(),
        [&](const Diagnosis::Judged& each) { return each.finding.severity == severity; });
}

// What a monitoring system shows: the worst finding, and how many there are.
std::string first_line(const Diagnosis& diagnosis, const Terminal& terminal) {
    const Severity worst = diagnosis.worst();
    std::string text = coloured(terminal, colour_of(worst), "kvmpv " + name_for_nagios(worst));
    const auto named =
        std::find_if(diagnosis.judged.begin(), diagnosis.judged.end(),
                     [&](const Diagnosis::Judged& each) { return each.finding.severity == worst; });
    if (worst >= Severity::kUnknown)
        text += ": " + named->finding.title + ", " + named->finding.number;
    return text + fmt::format(" - {} critical, {}, {}, {} rules\n",
                              number_of(diagnosis, Severity::kCritical),
                              count(number_of(diagnosis, Severity::kWarning), "warning"),
                              count(number_of(diagnosis, Severity::kNote), "note"),
                              diagnosis.judged.size());
}

}  // namespace

Severity Diagnosis::worst() const {
    Severity worst = Severity::kFine;
    for (const Judged& each : judged) worst = std::max(worst, each.finding.severity);
    return worst;
}

Diagnosis examine(const Look& look) {
    Diagnosis diagnosis;
    for (const Rule& rule : rules()) diagnosis.judged.push_back({rule.name, rule.judge(look)});
    diagnosis.notes = look.now.notes;
    return diagnosis;
}

std::string doctor_text(const Diagnosis& diagnosis, const Terminal& terminal) {
    std::vector<const Diagnosis::Judged*> shown;
    for (const Diagnosis::Judged& each : diagnosis.judged)
        if (each.finding.severity != Severity::kFine) shown.push_back(&each);
    std::stable_sort(shown.begin(), shown.end(), [](const auto* left, const auto* right) {
        return left->finding.severity > right->finding.severity;
    });
    constexpr std::size_t kIndent = 10;
    std::string text = first_line(diagnosis, terminal);
    for (const Diagnosis::Judged* each : shown) {
        const Finding& finding = each->finding;
        const std::string word = fmt::format("{:<{}}", name_of(finding.severity), kIndent);
        text += '\n' + beside(terminal, coloured(terminal, colour_of(finding.severity), word),
                              kIndent, finding.title + " (" + each->rule + ")");
        text += beside(terminal, std::string(kIndent, ' '), kIndent, finding.number);
        text += beside(terminal, std::string(kIndent, ' '), kIndent, finding.meaning);
        // On one line, so that it can be copied.
        if (!finding.mend.empty()) text += std::string(kIndent, ' ') + "# " + finding.mend + '\n';
    }
    for (const std::string& note : diagnosis.notes) text += "\nNote: " + note;
    return diagnosis.notes.empty() ? text : text + '\n';
}

std::string doctor_json(const Diagnosis& diagnosis) {
    nlohmann::json all;
    all["version"] = 1;
    all["status"] = name_for_nagios(diagnosis.worst());
    all["exit_status"] = nagios_status(diagnosis.worst());
    all["rules"] = nlohmann::json::array();
    for (const Diagnosis::Judged& each : diagnosis.judged)
        all["rules"].push_back({{"rule", each.rule},
                                {"severity", name_of(each.finding.severity)},
                                {"title", each.finding.title},
                                {"number", each.finding.number},
                                {"meaning", each.finding.meaning},
                                {"mend", each.finding.mend}});
    all["notes"] = diagnosis.notes;
    return all.dump(2) + '\n';
}

}  // namespace kvmpv
