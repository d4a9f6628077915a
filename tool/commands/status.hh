// SPDX-License-Identifier: GPL-2.0-only
// `kvmpv status`: one screen in words.
#pragma once

#include <string>

#include "rules/rule.hh"
#include "say/terminal.hh"

namespace kvmpv {

std::string status_text(const Look& look, const Terminal& terminal);
std::string status_json(const Look& look);

}  // namespace kvmpv
