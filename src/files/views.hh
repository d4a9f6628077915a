// SPDX-License-Identifier: GPL-2.0-only
//
// The files about all features together.

#pragma once

#include "base/view.hh"
#include "kvmpv/cpuid.hh"

namespace kvmpv {

std::span<const kvmpv_file> common_files();

void show_cpus(void* seq);

// The second table of `features`.
void write_hypercalls(Out& out, const KvmCpuid& kvm);

}  // namespace kvmpv
