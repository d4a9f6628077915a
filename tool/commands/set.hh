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

// By its name in debugfs: "clock/release". The same switch is a module parameter, which works
// without debugfs and in a kernel that is locked down.
struct Switch {
    std::string file;
    std::string parameter;  // empty if it has none
};

// What can be written there, so those of other versions of the module, too.
std::vector<Switch> switches(const Files& files);

// What a write that failed means.
Answer explain(const Switch& which, const std::string& value, int error, const Files& files);

Answer set(const Files& files, const std::string& file, const std::string& value, bool is_root);

}  // namespace kvmpv
