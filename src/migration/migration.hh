// SPDX-License-Identifier: GPL-2.0-only
//
// Migration control: the guest says whether the host may move it. A program that must not be moved
// for a while holds the guest, as long as it keeps the file open to which it has written that.
//
// The MSR is the whole guest's: its bit says "live migration of the guest is allowed" (msr.rst),
// and the kernel sets it on one CPU only. So one CPU writes it for all. It is always the first one
// that is online, so that on a host that keeps a value for each vCPU the same one is set and put
// back.
//
// The kernel writes 0 on every CPU that goes, sleeps or restarts, and never 1 after that. So after
// each of these what was asked for is written again. As long as nobody has asked for anything,
// nothing is written.

#pragma once

#include "base/cpus.hh"
#include "kvmpv/migration_hold.hh"
#include "slot/slots.hh"

namespace kvmpv {

class Migration {
public:
    // For mode kOwned. After an error the caller calls stop().
    Result<void> start(const kvmpv_parameters& parameters);

    // Ends a hold, and puts the MSR back.
    void stop();

    // What was written to `file`, an open file. -ENODEV if not started, -EBUSY while another file
    // holds the guest, -EIO or another error if the host did not take it; then there is no hold.
    // May sleep.
    Result<void> write(const MigrationWrite& wanted, const void* file);

    // `file` is closed now. May sleep.
    void closed(const void* file);

    // The timer has run. May sleep.
    void hold_is_due();

    // CPU hotplug, see linux_hotplug_enable().
    Result<void> online_cpu(u32 cpu);
    void dead_cpu(u32 cpu);

    // On the only CPU that is online around suspend, with interrupts off.
    void resume(u32 cpu) { slot().set_again(cpu); }

    void restart();

    struct State {
        bool is_started;
        Result<u64> msr{u64{0}};
        kvmpv_value value;
        u32 failures;
        u32 holds;      // how many there have been
        u32 timed_out;  // of these, those that ended because their time was up
        bool is_held;   // the rest is valid only then
        u64 held_until_ns;
        u64 left_ns;
        kvmpv_task holder;  // who has written it last
    };
    // All of one moment, but that the MSR is read last. May sleep.
    State state() const;

private:
    using Slot = decltype(Slots::migration_control);
    static Slot& slot() { return slots.migration_control; }

    Result<void> hold(u32 seconds, const void* file);
    Result<void> allow();
    void end_hold();
    static Result<void> set(u64 value);
    static void set_again();
    static void put_back();

    // Changed under the mutex.
    bool started_ = false;
    bool allow_was_asked_ = false;
    u32 holds_ = 0;
    u32 timed_out_ = 0;
    MigrationHold hold_;
    kvmpv_task holder_{};
};

extern constinit Migration migration;

}  // namespace kvmpv
