// SPDX-License-Identifier: GPL-2.0-only
// Where `kvmpv top` shows its lines, and where its keys come from.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "top/line.hh"

namespace kvmpv {

class Screen {
public:
    virtual ~Screen() = default;
    virtual Size size() const = 0;
    // The terminal has another size now.
    virtual void resize() = 0;
    virtual void show(const std::vector<Line>& lines) = 0;
    // The descriptor on which keys come. None if nobody is there to press one.
    virtual std::optional<int> input() const = 0;
    // The next one that was pressed; kNone if there is none.
    virtual Key key() = 0;
};

// The whole terminal by ncurses. If there is none, or it cannot move its cursor, or nothing is
// known of it (no terminfo, as in a small guest), one screen below the other.
std::unique_ptr<Screen> open_screen();

}  // namespace kvmpv
