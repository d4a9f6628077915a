// SPDX-License-Identifier: GPL-2.0-only
//
// What `status` says about the sampler.

#pragma once

#include "base/view.hh"

namespace kvmpv {

void write_sampler_section(Out& out);

}  // namespace kvmpv
