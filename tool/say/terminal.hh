// SPDX-License-Identifier: GPL-2.0-only
// The output: how wide it is, and whether it shows colours.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace kvmpv {

enum class Colour { kNone, kGreen, kYellow, kRed };

struct Terminal {
    std::size_t width = 80;
    bool has_colours = false;
};

// Standard output. It has colours only on a terminal that has them, and not if NO_COLOR is set to
// anything.
Terminal standard_output();

std::string coloured(const Terminal& terminal, Colour colour, std::string_view text);

// Breaks the text between words. A word longer than a line stays whole: it may be a command to
// copy.
std::vector<std::string> wrap(std::string_view text, std::size_t width);

// A left column, and beside it a text that is wrapped within its own column.
std::string beside(const Terminal& terminal, std::string_view left, std::size_t left_width,
                   std::string_view text);

}  // namespace kvmpv
