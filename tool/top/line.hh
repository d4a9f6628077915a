// SPDX-License-Identifier: GPL-2.0-only
// What is on the screen: lines of coloured text, before anybody knows which terminal there is.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "say/terminal.hh"

namespace kvmpv {

struct Span {
    std::string text;
    Colour colour = Colour::kNone;
    bool is_reversed = false;  // a heading
};

using Line = std::vector<Span>;

struct Size {
    std::size_t columns = 80;
    std::size_t rows = 0;  // 0: as many as it takes
};

enum class Key { kNone, kQuit, kSort, kCharges, kSince, kAnew, kPause, kUp, kDown };

}  // namespace kvmpv
