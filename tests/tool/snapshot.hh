// SPDX-License-Identifier: GPL-2.0-only
// A guest's files as tests/snapshots has them, which a test can change one by one.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "read/files.hh"
#include "read/table.hh"
#include "read/tree.hh"
#include "rules/rule.hh"

namespace kvmpv {

class Snapshot final : public Files {
public:
    Snapshot() = default;
    // Of tests/snapshots/NAME.txt.
    explicit Snapshot(const std::string& name);

    Text read(std::string_view path) const override;
    bool exists(std::string_view path) const override;
    std::string identity(std::string_view) const override { return loading; }
    std::vector<std::string> writable(std::string_view) const override { return writable_; }
    bool is_copy() const override { return is_copy_; }

    // Of the module's files, by the name below debugfs. The old text has to be there.
    Snapshot& with(const std::string& file, const std::string& old, const std::string& text);
    // In the row that begins so, the value of this column.
    Snapshot& with_cell(const std::string& file, const std::string& row, const std::string& column,
                        const std::string& value);
    Snapshot& put(const std::string& path, const std::string& content);
    Snapshot& without(const std::string& path, int error);
    Snapshot& as_running_system();
    Snapshot& writes(std::vector<std::string> files);

    std::map<std::string, Text> files;
    std::string loading;  // what `identity` answers

private:
    std::vector<std::string> writable_;
    bool is_copy_ = true;
};

// The names of all that are in tests/snapshots.
std::vector<std::string> all_snapshots();

inline std::string below_module(const std::string& file) {
    return std::string(kModuleFolder) + "/" + file;
}

inline Look look_at(const Snapshot& now) { return {read_tree(now), {}}; }
inline Look look_at(const Snapshot& now, const Snapshot& earlier) {
    return {read_tree(now), read_first_look(earlier)};
}

}  // namespace kvmpv
