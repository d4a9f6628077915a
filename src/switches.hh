// SPDX-License-Identifier: GPL-2.0-only
//
// What can be switched while the module runs. Each switch is a file of debugfs and, because debugfs
// may be switched off or locked down, a module parameter of that name: `steal/hook`, `steal_hook`.

#pragma once

#include "kvmpv/boundary.h"

namespace kvmpv {

// What a file of debugfs was written: 0 or 1, and nothing else.
int store_switch(kvmpv_switch which, const char* text);

}  // namespace kvmpv
