// SPDX-License-Identifier: GPL-2.0-only
// `kvmpv set FILE VALUE`: writes a switch, and says in words what the kernel answered.
#pragma once

#include <string>
#include <vector>

#include "read/files.hh"
#include "read/trouble.hh"

namespace kvmpv {

struct Answer {
    Exit exit = Exit::kOk;
    std::string words;
};

// A switch has a file in debugfs, "clock/release", and a module parameter. The parameter also works
// without debugfs, and in a kernel that is locked down.
struct Switch {
    std::string file;
    std::string parameter;  // empty if it has none
};

// Those that are known, and every file of the module that can be written: another version of the
// module may have other switches.
std::vector<Switch> switches(const Files& files);

// Says why a write failed.
Answer explain(const Switch& which, const std::string& value, int error, const Files& files);

Answer set(const Files& files, const std::string& file, const std::string& value, bool is_root);

}  // namespace kvmpv
