// SPDX-License-Identifier: GPL-2.0-only
//
// What the files of debugfs show and take; views.cc has the table of them.

#pragma once

#include "view.hh"

namespace kvmpv {

void show_cpus(void* seq);
void show_events(void* seq);

void show_eoi_state(void* seq);
void show_eoi_cpus(void* seq);
void show_eoi_hook(void* seq);
int store_eoi_hook(const char* text);

void show_clock_state(void* seq);
void show_wall_clock(void* seq);
void show_clock_drift(void* seq);
void show_clock_release(void* seq);
int store_clock_release(const char* text);
void show_clock_force_unstable(void* seq);
int store_clock_force_unstable(const char* text);

// What `status` says of steal time behind the reason of its mode.
void write_steal_note(Out& out);
void show_steal_state(void* seq);
void show_steal_cpus(void* seq);
void show_steal_histogram(void* seq);
void show_steal_hook(void* seq);
int store_steal_hook(const char* text);
void show_steal_reset(void* seq);
int store_steal_reset(const char* text);
void show_steal_tasks(void* seq);
void show_steal_cgroups(void* seq);
void show_steal_attribution(void* seq);
int store_steal_attribution(const char* text);

}  // namespace kvmpv
