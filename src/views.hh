// SPDX-License-Identifier: GPL-2.0-only
//
// What the table of features shows: each feature's files of debugfs, and what `status` says of it.

#pragma once

#include "view.hh"

namespace kvmpv {

// Behind the reason of its mode.
void write_steal_note(Out& out);
void write_eoi_note(Out& out);
// Below the rows of all features.
void write_clock_section(Out& out);

std::span<const kvmpv_file> clock_files();
std::span<const kvmpv_file> other_clocks_files();
std::span<const kvmpv_file> wall_clock_files();
std::span<const kvmpv_file> steal_files();
std::span<const kvmpv_file> eoi_files();
std::span<const kvmpv_file> events_files();
// Those of all features together.
std::span<const kvmpv_file> common_files();

void show_cpus(void* seq);
void show_steal_tasks(void* seq);
void show_steal_cgroups(void* seq);
void show_steal_attribution(void* seq);
int store_steal_attribution(const char* text);

}  // namespace kvmpv
