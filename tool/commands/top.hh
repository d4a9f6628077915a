// SPDX-License-Identifier: GPL-2.0-only
// `kvmpv top`: where each CPU's time goes, again and again.
#pragma once

#include <cstdint>
#include <optional>

#include "read/files.hh"
#include "read/trouble.hh"

namespace kvmpv {

struct TopOptions {
    double interval = 1;     // seconds
    std::int64_t count = 0;  // end after so many screens; 0: at q
    bool json = false;
};

std::optional<Trouble> top(const Files& files, const TopOptions& options, bool is_root);

}  // namespace kvmpv
