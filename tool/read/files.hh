// SPDX-License-Identifier: GPL-2.0-only
// Where text comes from: the running system, a tree that was copied from one, or a test.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kvmpv {

struct Text {
    std::string content;
    int error = 0;  // an errno; the content is empty then

    bool ok() const { return error == 0; }
};

// Paths are relative to the root of the system: "proc/uptime".
class Files {
public:
    virtual ~Files() = default;
    virtual Text read(std::string_view path) const = 0;
    virtual bool exists(std::string_view path) const = 0;
    // The files in this folder and below it that their owner may write, relative to it.
    virtual std::vector<std::string> writable(std::string_view folder) const = 0;
    // The files of a copy do not change, and nothing is written to them.
    virtual bool is_copy() const = 0;
};

class Directory final : public Files {
public:
    // Empty: the running system.
    explicit Directory(std::string root) : root_(std::move(root)) {}

    Text read(std::string_view path) const override;
    bool exists(std::string_view path) const override;
    std::vector<std::string> writable(std::string_view folder) const override;
    bool is_copy() const override { return !root_.empty(); }

private:
    std::string below(std::string_view path) const;

    std::string root_;
};

}  // namespace kvmpv
