// SPDX-License-Identifier: GPL-2.0-only
// Every file of the module has this form: `version 1`, lines of words, and a table or two.
// docs/debugfs.md describes it. The text may be anything: parsing it ends, and no cell holds a
// control character.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvmpv {

constexpr int kKnownVersion = 1;

class Row;

class Table {
public:
    // The words of line `head` name the columns. The last column takes the rest of a line. The
    // table ends at an empty line, or with the last line.
    Table() = default;
    Table(const std::vector<std::string>& lines, std::size_t head);

    std::optional<std::size_t> column(std::string_view name) const;
    std::vector<Row> rows() const;
    bool is_empty() const { return rows_.empty(); }
    // How many lines were left out, because they have fewer values than there are columns.
    std::size_t cut_short() const { return cut_short_; }

private:
    friend class Row;

    std::vector<std::string> columns_;
    std::vector<std::vector<std::string>> rows_;
    std::size_t cut_short_ = 0;
};

// Valid as long as its table.
class Row {
public:
    Row(const Table& table, const std::vector<std::string>& cells)
        : table_(&table), cells_(&cells) {}

    // Empty if there is no such column.
    std::string text(std::string_view column) const;
    // Nothing for `-`, for a missing column, and for anything that is not a number.
    std::optional<std::int64_t> number(std::string_view column) const;

private:
    const Table* table_;
    const std::vector<std::string>* cells_;
};

// A file of the module, split into lines.
struct Document {
    std::vector<std::string> lines;  // without `version 1`
    std::optional<std::int64_t> version;
    bool is_cut = false;  // the last line did not end, and was left out

    bool is_known() const { return version && *version <= kKnownVersion; }
    // The table whose head has these columns among its own; an empty one if there is none.
    Table table(std::initializer_list<std::string_view> columns) const;
    // The rest of the first line that begins with `begin`.
    std::string line(std::string_view begin) const;
};

Document parse(std::string_view text);

std::vector<std::string> words(std::string_view line);
std::optional<std::int64_t> to_number(std::string_view word);
// The text, with each byte that is neither printable nor a blank as a backslash and three octal
// digits.
std::string printable(std::string_view text);

}  // namespace kvmpv
