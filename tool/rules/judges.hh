// SPDX-License-Identifier: GPL-2.0-only
// The rules, by what they are about: clock.cc, steal.cc, interrupts.cc. Each is a pure function.
#pragma once

#include "rules/rule.hh"

namespace kvmpv {

// True for hpet, acpi_pm and slower clocks.
bool is_slow(const std::string& clocksource);

Finding judge_slow_clock(const Look& look);
Finding judge_tsc(const Look& look);
Finding judge_vdso(const Look& look);
Finding judge_promise(const Look& look);
Finding judge_alone(const Look& look);
Finding judge_drift(const Look& look);
Finding judge_wall_clock(const Look& look);
Finding judge_steal(const Look& look);
Finding judge_uneven_steal(const Look& look);
Finding judge_stepped_steal(const Look& look);
Finding judge_eoi(const Look& look);

// For a rule whose file could not be read.
Finding unknown(const std::string& file);

}  // namespace kvmpv
