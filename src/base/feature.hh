// SPDX-License-Identifier: GPL-2.0-only
//
// A feature as the module sees it: a row of the table in features.cc. A null pointer means that the
// feature has nothing to do at that step.

#pragma once

#include "base/view.hh"
#include "kvmpv/result.hh"

namespace kvmpv {

class SlotState;

// A module parameter and a debugfs file, to which 0 or 1 is written while the module is loaded.
struct Switch {
    kvmpv_switch which;
    Result<void> (*set)(bool on);
    bool (*is_on)();
};

struct FeatureRow {
    const char* name;

    // ---- Load and unload --------------------------------------------------------------------
    // If start() fails, the error is logged after `failure` and stop() is called. The other
    // features still start. stop() is also called if start() was not. Both may sleep.
    Result<void> (*start)(const kvmpv_parameters& parameters) = nullptr;
    void (*stop)() = nullptr;
    const char* failure = nullptr;

    // ---- CPU hotplug, see kvmpv_cpu_prepare() ------------------------------------------------
    kvmpv_follower follower = KVMPV_NUM_FOLLOWERS;
    void (*prepare_cpu)(u32 cpu) = nullptr;
    Result<void> (*online_cpu)(u32 cpu) = nullptr;
    void (*down_cpu)(u32 cpu) = nullptr;
    void (*dead_cpu)(u32 cpu) = nullptr;

    // ---- Suspend and restart ------------------------------------------------------------------
    // Around suspend and hibernation, on the only CPU that is online, with interrupts off.
    void (*suspend)(u32 cpu) = nullptr;
    void (*resume)(u32 cpu) = nullptr;
    // The same for what depends on the clock, at another moment: see kvmpv_clock_suspend().
    void (*clock_suspend)(u32 cpu) = nullptr;
    void (*clock_resume)(u32 cpu) = nullptr;
    // Before the machine restarts: after this the host no longer writes to the module's memory.
    void (*restart)() = nullptr;

    // ---- What is shown and switched -----------------------------------------------------------
    // The feature's slots, which have a row in `status`. Null: there is no row, and the feature is
    // always started.
    SlotState* slots = nullptr;
    const char* cpuid_name = nullptr;
    // Whether the feature is in use. If it is not, it takes no slot, and `status` shows `off`
    // instead of `owned`. Null: always in use.
    bool (*is_in_use)() = nullptr;
    // What the row says after the reason; and what `status` shows below all rows.
    void (*write_note)(Out& out) = nullptr;
    void (*write_section)(Out& out) = nullptr;
    std::span<const kvmpv_file> (*files)() = nullptr;
    std::span<const Switch> switches{};
};

// All features in the order in which they start (features.cc).
std::span<const FeatureRow> features();

}  // namespace kvmpv
