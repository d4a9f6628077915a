// SPDX-License-Identifier: GPL-2.0-only
// Why nothing can be read, in words, and the exit status for it.
#pragma once

#include <optional>
#include <string>

#include "read/files.hh"

namespace kvmpv {

enum class Exit { kOk = 0, kRefused = 1, kUsage = 2, kNothingToRead = 3, kNotPermitted = 4 };

struct Trouble {
    Exit exit;
    std::string words;
};

// Nothing if the module's `status` can be read. `is_root`: root runs the program.
std::optional<Trouble> find_trouble(const Files& files, bool is_root);

}  // namespace kvmpv
