// SPDX-License-Identifier: GPL-2.0-only
//
// The file `migration/control`, and what `status` adds about it after the reason of its mode.

#pragma once

#include "base/view.hh"

namespace kvmpv {

void write_migration_note(Out& out);

std::span<const kvmpv_file> migration_files();

}  // namespace kvmpv
