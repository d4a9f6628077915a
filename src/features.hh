// SPDX-License-Identifier: GPL-2.0-only
//
// All features together: they start in the order of one table and stop in the reverse of it.

#pragma once

#include "base/feature.hh"

namespace kvmpv {

// Fails only where nothing of the module could be undone in time; then nothing has started.
Result<void> start_features(const kvmpv_parameters& parameters);
void stop_features();

// The files of all features. The module works without debugfs, unseen.
Result<void> create_files();

}  // namespace kvmpv
