// SPDX-License-Identifier: GPL-2.0-only
//
// The files of `halt_poll/`, and what `status` adds about it after the reason of its mode.

#pragma once

#include "base/view.hh"

namespace kvmpv {

void write_halt_poll_note(Out& out);

std::span<const kvmpv_file> halt_poll_files();

}  // namespace kvmpv
