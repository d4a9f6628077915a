// SPDX-License-Identifier: GPL-2.0-only
// `kvmpv report`: what a recording says.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "read/trouble.hh"
#include "record/format.hh"
#include "record/totals.hh"
#include "say/terminal.hh"

namespace kvmpv {

struct Report {
    std::optional<Trouble> trouble;  // why nothing can be read
    Heading heading;
    std::optional<Ending> ending;
    Totals totals{0};
    std::vector<std::string> damage;
};

Report read_report(std::istream& lines);

std::string report_text(const Report& report, const Terminal& terminal);
std::string report_json(const Report& report);

}  // namespace kvmpv
