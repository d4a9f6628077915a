// SPDX-License-Identifier: GPL-2.0-only
// The form that every file of the module has: `version 1`, lines of words, and a table or two.
// docs/debugfs.md describes it. Whatever the text holds, reading it ends, and no cell holds a
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
    // The columns of the first line are named by its words. The last column takes what is left of a
    // line. Ends at an empty line, or at the end of the lines.
    Table() = default;
    Table(const std::vector<std::string>& lines, std::size_t head);

    std::optional<std::size_t> column(std::string_view name) const;
    std::vector<Row> rows() const;
    bool is_empty() const { return rows_.empty(); }
    // Lines with fewer values than there are columns. They are left out.
    std::size_t cut_short() const { return cut_short_; }

private:
    friend class Row;

    std::vector<std::string> columns_;
    std::vector<std::vector<std::string>> rows_;
    std::size_t cut_short_ = 0;
};

// Lives as long as its table.
class Row {
public:
    Row(const Table& table, const std::vector<std::string>& cells)
        : table_(&table), cells_(&cells) {}

    // Empty where there is no such column.
    std::string text(std::string_view column) const;
    // Nothing for `-`, for a column that is not there, and for what is no number.
    std::optional<std::int64_t> number(std::string_view column) const;

private:
    const Table* table_;
    const std::vector<std::string>* cells_;
};

// A file of the module, of which a version was understood.
struct Document {
    std::vector<std::string> lines;  // without `version 1`
    std::optional<std::int64_t> version;
    bool is_cut = false;  // the last line had no end, and was left out

    bool is_known() const { return version && *version <= kKnownVersion; }
    // The table whose head has these columns among its own; an empty one if there is none.
    Table table(std::initializer_list<std::string_view> columns) const;
    // The rest of the first line that begins so.
    std::string line(std::string_view begin) const;
};

Document parse(std::string_view text);

std::vector<std::string> words(std::string_view line);
std::optional<std::int64_t> to_number(std::string_view word);
// Each byte that is neither printable nor a blank, as a backslash and three octal digits.
std::string printable(std::string_view text);

}  // namespace kvmpv
