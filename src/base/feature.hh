// SPDX-License-Identifier: GPL-2.0-only
//
// What a feature is to the module: a row of the table in features.cc. A null pointer is a step at
// which the feature has nothing to do.

#pragma once

#include "base/view.hh"
#include "kvmpv/result.hh"

namespace kvmpv {

class SlotState;

// A parameter, and a file of debugfs, that is written 0 or 1 while the module runs.
struct Switch {
    kvmpv_switch which;
    Result<void> (*set)(bool on);
    bool (*is_on)();
};

struct FeatureRow {
    const char* name;

    // ---- Load and unload --------------------------------------------------------------------
    // An error is no reason to refuse the other features: it is logged behind `failure`, and stop()
    // is called. stop() is also called where start() was not.
    Result<void> (*start)(const kvmpv_parameters& parameters) = nullptr;
    void (*stop)() = nullptr;
    const char* failure = nullptr;

    // ---- CPUs that come and go, see linux_hotplug_enable() ------------------------------------
    kvmpv_follower follower = KVMPV_NUM_FOLLOWERS;
    void (*prepare_cpu)(u32 cpu) = nullptr;
    Result<void> (*online_cpu)(u32 cpu) = nullptr;
    void (*down_cpu)(u32 cpu) = nullptr;
    void (*dead_cpu)(u32 cpu) = nullptr;

    // ---- Sleep and restart of the machine -----------------------------------------------------
    // Around suspend and hibernation, on the only CPU that is up, with interrupts off.
    void (*suspend)(u32 cpu) = nullptr;
    void (*resume)(u32 cpu) = nullptr;
    // Around the same, when the clock stands still: see kvmpv_clock_suspend().
    void (*clock_suspend)(u32 cpu) = nullptr;
    void (*clock_resume)(u32 cpu) = nullptr;
    // No host may write to memory of ours afterwards.
    void (*restart)() = nullptr;

    // ---- What is shown and switched -----------------------------------------------------------
    // Its slots, of which `status` has a row; without slots there is none, and the feature is
    // always started.
    SlotState* slots = nullptr;
    const char* cpuid_name = nullptr;
    // What is not in use takes no slot, whatever it could do. Null: what has started is.
    bool (*is_in_use)() = nullptr;
    // What the row says behind the reason, and what stands below all rows.
    void (*write_note)(Out& out) = nullptr;
    void (*write_section)(Out& out) = nullptr;
    std::span<const kvmpv_file> (*files)() = nullptr;
    std::span<const Switch> switches{};
};

// All of them, in the order in which they start (features.cc).
std::span<const FeatureRow> features();

}  // namespace kvmpv
