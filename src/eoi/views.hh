// SPDX-License-Identifier: GPL-2.0-only
//
// The files of `eoi/`, and what `status` adds about PV EOI after the reason of its mode.

#pragma once

#include "base/view.hh"

namespace kvmpv {

void write_eoi_note(Out& out);

std::span<const kvmpv_file> eoi_files();

}  // namespace kvmpv
