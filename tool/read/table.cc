// SPDX-License-Identifier: GPL-2.0-only
#include "read/table.hh"

#include <algorithm>
#include <charconv>

namespace kvmpv {
namespace {

constexpr std::string_view kBlanks = " \t";

std::string_view without_blanks(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

// Takes the first word off the line.
std::string_view next_word(std::string_view& line) {
    line = without_blanks(line);
    const std::string_view word = line.substr(0, line.find_first_of(kBlanks));
    line.remove_prefix(word.size());
    return word;
}

std::vector<std::string> cells_of(std::string_view line, std::size_t columns) {
    std::vector<std::string> cells;
    while (cells.size() + 1 < columns) {
        const std::string_view word = next_word(line);
        if (word.empty()) return cells;
        cells.emplace_back(word);
    }
    line = without_blanks(line);
    if (!line.empty()) cells.emplace_back(line);
    return cells;
}

}  // namespace

std::vector<std::string> words(std::string_view line) {
    std::vector<std::string> found;
    for (;;) {
        const std::string_view word = next_word(line);
        if (word.empty()) return found;
        found.emplace_back(word);
    }
}

std::optional<std::int64_t> to_number(std::string_view word) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
    return value;
}

std::string printable(std::string_view text) {
    std::string shown;
    for (const char letter : text) {
        const unsigned byte = static_cast<unsigned char>(letter);
        if (letter == '\t') {
            shown += ' ';
        } else if (byte >= ' ' && byte <= '~') {
            shown += letter;
        } else {
            shown += '\\';
            for (const unsigned shift : {6u, 3u, 0u})
                shown += static_cast<char>('0' + (byte >> shift & 7));
        }
    }
    return shown;
}

Table::Table(const std::vector<std::string>& lines, std::size_t head) {
    if (head >= lines.size()) return;
    columns_ = words(lines[head]);
    for (std::size_t at = head + 1; at < lines.size() && !lines[at].empty(); ++at) {
        std::vector<std::string> cells = cells_of(lines[at], columns_.size());
        if (cells.size() < columns_.size())
            ++cut_short_;
        else
            rows_.push_back(std::move(cells));
    }
}

std::optional<std::size_t> Table::column(std::string_view name) const {
    const auto found = std::find(columns_.begin(), columns_.end(), name);
    if (found == columns_.end()) return std::nullopt;
    return static_cast<std::size_t>(found - columns_.begin());
}

std::vector<Row> Table::rows() const {
    std::vector<Row> rows;
    for (const std::vector<std::string>& cells : rows_) rows.emplace_back(*this, cells);
    return rows;
}

std::string Row::text(std::string_view column) const {
    const std::optional<std::size_t> at = table_->column(column);
    return at ? (*cells_)[*at] : std::string();
}

std::optional<std::int64_t> Row::number(std::string_view column) const {
    return to_number(text(column));
}

Document parse(std::string_view text) {
    Document document;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        if (end == std::string_view::npos) {
            document.is_cut = true;
            break;
        }
        document.lines.push_back(printable(text.substr(0, end)));
        text.remove_prefix(end + 1);
    }
    if (!document.lines.empty()) {
        const std::vector<std::string> first = words(document.lines.front());
        if (first.size() == 2 && first[0] == "version") document.version = to_number(first[1]);
        if (document.version) document.lines.erase(document.lines.begin());
    }
    return document;
}

Table Document::table(std::initializer_list<std::string_view> columns) const {
    for (std::size_t head = 0; head < lines.size(); ++head) {
        const std::vector<std::string> names = words(lines[head]);
        const bool has_all = std::all_of(columns.begin(), columns.end(), [&](auto column) {
            return std::find(names.begin(), names.end(), column) != names.end();
        });
        if (has_all) return Table(lines, head);
    }
    return {};
}

std::string Document::line(std::string_view begin) const {
    for (const std::string& line : lines)
        if (line.starts_with(begin))
            return std::string(without_blanks(std::string_view(line).substr(begin.size())));
    return {};
}

}  // namespace kvmpv
