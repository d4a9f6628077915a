// SPDX-License-Identifier: GPL-2.0-only
// Changes for programs.
#pragma once

#include <vector>

#include <nlohmann/json.hpp>

#include "change/change.hh"

namespace kvmpv {

// null if there is no figure.
nlohmann::json json_of(const Growth& growth);
nlohmann::json json_of(const std::vector<Loss>& losses);

}  // namespace kvmpv
