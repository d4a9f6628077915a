// SPDX-License-Identifier: GPL-2.0-only
//
// The file `events`.

#pragma once

#include "base/view.hh"

namespace kvmpv {

std::span<const kvmpv_file> events_files();

}  // namespace kvmpv
