// SPDX-License-Identifier: GPL-2.0-only
//
// The files of `clock/`, and what `status` says about the clocksource below the rows of all
// features.

#pragma once

#include "base/view.hh"

namespace kvmpv {

void write_clock_section(Out& out);

std::span<const kvmpv_file> clock_files();
std::span<const kvmpv_file> other_clocks_files();
std::span<const kvmpv_file> pairing_files();
std::span<const kvmpv_file> wall_clock_files();

}  // namespace kvmpv
