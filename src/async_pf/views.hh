// SPDX-License-Identifier: GPL-2.0-only
//
// The files of `async_pf/`, and what `status` adds about it after the reason of its mode.

#pragma once

#include "base/view.hh"

namespace kvmpv {

void write_async_pf_note(Out& out);

std::span<const kvmpv_file> async_pf_files();

}  // namespace kvmpv
