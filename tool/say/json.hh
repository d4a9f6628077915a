// SPDX-License-Identifier: GPL-2.0-only
// Numbers and events for programs.
#pragma once

#include <nlohmann/json.hpp>

#include "read/tree.hh"

namespace kvmpv {

// null if there is none.
nlohmann::json json_of(const Number& number);
nlohmann::json json_of(const Event& event);

}  // namespace kvmpv
