// SPDX-License-Identifier: GPL-2.0-only
//
// All features: they start in the order of one table and stop in reverse.

#pragma once

#include "base/feature.hh"

namespace kvmpv {

// Fails only if the restart notifier cannot be registered: then nothing could be undone before a
// restart, so nothing is started. A feature that fails to start is logged, and the others go on.
// May sleep.
Result<void> start_features(const kvmpv_parameters& parameters);
// Removes the files, then undoes start_features(). May sleep.
void stop_features();

// Creates the debugfs files of all features. The module works without them, too, but then nothing
// of it can be seen. May sleep.
Result<void> create_files();

}  // namespace kvmpv
