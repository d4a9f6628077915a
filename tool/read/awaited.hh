// SPDX-License-Identifier: GPL-2.0-only
// A file of the module that says by poll(2) that something has been added.
#pragma once

#include <string>

#include "read/files.hh"

namespace kvmpv {

// It is held open. As long as it is, the module cannot be unloaded.
class AwaitedFile {
public:
    explicit AwaitedFile(const std::string& path);
    ~AwaitedFile();
    AwaitedFile(const AwaitedFile&) = delete;
    AwaitedFile& operator=(const AwaitedFile&) = delete;

    // From its beginning. What is added afterwards ends the next wait.
    Text read();
    // Without using the CPU. 0 or an errno.
    int wait() const;

private:
    int file_;
    int error_ = 0;  // of opening it
};

}  // namespace kvmpv
