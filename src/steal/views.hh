// SPDX-License-Identifier: GPL-2.0-only
//
// The files of `steal/`, and what `status` adds about steal time after the reason of its mode.

#pragma once

#include "base/view.hh"

namespace kvmpv {

void write_steal_note(Out& out);

std::span<const kvmpv_file> steal_files();

void show_steal_tasks(void* seq);
void show_steal_cgroups(void* seq);
void show_steal_attribution(void* seq);
int store_steal_attribution(const char* text);

}  // namespace kvmpv
