// SPDX-License-Identifier: GPL-2.0-only
// `kvmpv doctor`: what is wrong with this guest, and what to do about it.
#pragma once

#include <string>
#include <vector>

#include "rules/rule.hh"
#include "say/terminal.hh"

namespace kvmpv {

struct Diagnosis {
    struct Judged {
        std::string rule;
        Finding finding;
    };

    std::vector<Judged> judged;  // one per rule
    std::vector<std::string> notes;

    Severity worst() const;
};

Diagnosis examine(const Look& look);

std::string doctor_text(const Diagnosis& diagnosis, const Terminal& terminal);
std::string doctor_json(const Diagnosis& diagnosis);

}  // namespace kvmpv
