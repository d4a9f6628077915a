// SPDX-License-Identifier: GPL-2.0-only
#include "say/terminal.hh"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "read/table.hh"

namespace kvmpv {
namespace {

// Beyond this a line is tiring to read, and below that it holds no word.
constexpr std::size_t kWidest = 110;
constexpr std::size_t kNarrowest = 20;

}  // namespace

Terminal standard_output() {
    Terminal terminal;
    if (!::isatty(STDOUT_FILENO)) return terminal;
    winsize size{};
    // A serial line says that it has no columns.
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        terminal.width = std::clamp<std::size_t>(size.ws_col, kNarrowest, kWidest);
    const char* const no_colour = std::getenv("NO_COLOR");
    const char* const type = std::getenv("TERM");
    terminal.has_colours = (no_colour == nullptr || !*no_colour) && type != nullptr && *type &&
                           std::string_view(type) != "dumb";
    return terminal;
}

std::string coloured(const Terminal& terminal, Colour colour, std::string_view text) {
    if (!terminal.has_colours || colour == Colour::kNone) return std::string(text);
    const int code = colour == Colour::kGreen ? 32 : colour == Colour::kYellow ? 33 : 31;
    return fmt::format("\033[1;{}m{}\033[0m", code, text);
}

std::vector<std::string> wrap(std::string_view text, std::size_t width) {
    std::vector<std::string> lines;
    std::string line;
    for (const std::string& word : words(text)) {
        if (!line.empty() && line.size() + 1 + word.size() > width) {
            lines.push_back(line);
            line.clear();
        }
        if (!line.empty()) line += ' ';
        line += word;
    }
    lines.push_back(line);
    return lines;
}

std::string beside(const Terminal& terminal, std::string_view left, std::size_t left_width,
                   std::string_view text) {
    const std::size_t room =
        std::max(kNarrowest, terminal.width - std::min(terminal.width, left_width));
    std::string shown;
    for (const std::string& line : wrap(text, room)) {
        shown += shown.empty() ? std::string(left) : std::string(left_width, ' ');
        shown += line + '\n';
    }
    return shown;
}

}  // namespace kvmpv
