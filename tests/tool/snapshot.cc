// SPDX-License-Identifier: GPL-2.0-only
#include "snapshot.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "read/table.hh"

namespace kvmpv {
namespace {

constexpr std::string_view kBegin = "==> ";
constexpr std::string_view kEnd = " <==";

}  // namespace

Snapshot::Snapshot(const std::string& name) {
    std::ifstream file("tests/snapshots/" + name + ".txt");
    EXPECT_TRUE(file) << "there is no snapshot " << name;
    std::string path;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(kBegin) && line.ends_with(kEnd))
            path = line.substr(kBegin.size(), line.size() - kBegin.size() - kEnd.size());
        else
            files[path].content += line + '\n';
    }
    EXPECT_GT(files.size(), 20u) << name;
}

std::vector<std::string> all_snapshots() {
    std::vector<std::string> names;
    for (const auto& file : std::filesystem::directory_iterator("tests/snapshots"))
        if (file.path().extension() == ".txt") names.push_back(file.path().stem().string());
    return names;
}

Text Snapshot::read(std::string_view path) const {
    const auto found = files.find(std::string(path));
    return found == files.end() ? Text{{}, ENOENT} : found->second;
}

bool Snapshot::exists(std::string_view path) const {
    for (const auto& [name, text] : files)
        if (name == path || name.starts_with(std::string(path) + "/")) return true;
    return false;
}

Snapshot& Snapshot::with(const std::string& file, const std::string& old, const std::string& text) {
    std::string& content = files[below_module(file)].content;
    const std::size_t at = content.find(old);
    EXPECT_NE(at, std::string::npos) << file << " has no " << old;
    if (at != std::string::npos) content.replace(at, old.size(), text);
    return *this;
}

Snapshot& Snapshot::with_cell(const std::string& file, const std::string& row,
                              const std::string& column, const std::string& value) {
    std::string changed;
    std::vector<std::string> columns;
    bool is_found = false;
    std::string& content = files[below_module(file)].content;
    Document document = parse(content);
    for (const std::string& line : document.lines) {
        std::vector<std::string> cells = words(line);
        const auto at = std::find(columns.begin(), columns.end(), column);
        if (at != columns.end() && !cells.empty() && cells.front() == row) {
            cells[static_cast<std::size_t>(at - columns.begin())] = value;
            is_found = true;
        }
        if (std::find(cells.begin(), cells.end(), column) != cells.end()) columns = cells;
        for (const std::string& cell : cells) changed += cell + ' ';
        changed += '\n';
    }
    EXPECT_TRUE(is_found) << file << " has no " << column << " of " << row;
    content = "version 1\n" + changed;
    return *this;
}

Snapshot& Snapshot::put(const std::string& path, const std::string& content) {
    files[path] = {content, 0};
    return *this;
}

Snapshot& Snapshot::without(const std::string& path, int error) {
    files[path] = {{}, error};
    return *this;
}

Snapshot& Snapshot::as_running_system() {
    is_copy_ = false;
    return *this;
}

Snapshot& Snapshot::writes(std::vector<std::string> names) {
    writable_ = std::move(names);
    return *this;
}

}  // namespace kvmpv
