// SPDX-License-Identifier: GPL-2.0-only
// Tables for people.
#pragma once

#include <string>
#include <vector>

namespace kvmpv {

// Each row is a line, each column as wide as its widest cell. The last column takes the rest of the
// line, and nothing follows it.
std::string columns(const std::vector<std::vector<std::string>>& rows);

}  // namespace kvmpv
