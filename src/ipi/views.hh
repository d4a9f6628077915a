// SPDX-License-Identifier: GPL-2.0-only
//
// The files of `ipi/`.

#pragma once

#include "base/view.hh"

namespace kvmpv {

std::span<const kvmpv_file> ipi_files();

}  // namespace kvmpv
