// SPDX-License-Identifier: GPL-2.0-only
//
// The clocksource "kvmpv": when it is registered, what it reads, and its rating.

#pragma once

#include "base/live_memory.hh"
#include "boundary.h"
#include "clock/records.hh"
#include "clock/state.hh"
#include "clock/vdso.hh"
#include "kvmpv/result.hh"
#include "slot/slots.hh"
#include "x86.hh"

namespace kvmpv {

class Clock {
public:
    // For mode kShared or kOwned: gives every CPU its record, chooses the read path and registers
    // the clocksource. After an error the caller calls stop(). May sleep.
    Result<void> start(const kvmpv_parameters& parameters);

    // Sleeps until the kernel can do without the clocksource, then undoes everything.
    void stop();

    // The first step of start() and the last one of stop(). create() allocates the records of owned
    // mode, and changes nothing in the kernel.
    Result<void> create(Slots& found, const kvmpv_parameters& parameters);
    void destroy();

    // CPU hotplug, see linux_hotplug_enable(). A CPU without a record reads another CPU's, or
    // returns the guard's last value.
    void prepare_cpu(u32 cpu);
    Result<void> online_cpu(u32 cpu);
    void down_cpu(u32 cpu);
    void dead_cpu(u32 cpu);

    // suspend() and resume() handle the slot of the only CPU that is online around suspend, with
    // interrupts off. restart() clears every CPU's slot. Otherwise the host would write to the
    // memory of whatever runs meanwhile or afterwards. In suspend to idle all CPUs stay online and
    // nothing else runs meanwhile, so the slots stay.
    void suspend(u32 cpu);
    void resume(u32 cpu);
    void restart();

    // true: lowers the rating to 1 and lets the kernel choose a clocksource; false: takes that
    // back. -EBUSY if the kernel stays with kvmpv, because the user named it or no other
    // clocksource is fit; the log says which. -EINVAL if the clocksource is not registered. May
    // sleep.
    Result<void> release(bool released);

    // true: the guarded path and no vDSO mode from the next read on; false: back to what the host
    // promises. -EBUSY if there is no way back, -EINVAL without a clocksource. Stops all CPUs for a
    // moment; may sleep.
    Result<void> force_unstable(bool forced);

    // User space reads the clock by itself from the kernel's next tick on, or no more. -EINVAL
    // without a clocksource, or if a condition is not met; vdso() says which. Stops all CPUs for a
    // moment; may sleep.
    Result<void> set_vdso(bool on);
    bool vdso_is_wanted() const { return vdso_.is_enabled(); }

    // Changes to the guarded path for good, because CPUs have been seen to disagree. Stops all CPUs
    // for a moment; may sleep.
    void revoke_stable();

    // Makes rmmod fail while the kernel would refuse to unregister the clocksource, because it has
    // no other one to judge the rest by. The sampler has it called every second while that is
    // possible, one call at a time. May sleep.
    void keep_while_indispensable();
    bool kept() const { return kept_; }
    // Nobody keeps watch over that any more; rmmod waits instead.
    void let_go();

    // The current clocksource, ours or another, has user space read CPU 0's record.
    bool user_space_reads_cpu0() const;
    // Makes CPU 0 run once. User space reads CPU 0's record, and the host brings that up to date
    // only when vCPU 0 runs. Interrupts on.
    void wake_cpu0();

    // May sleep, to ask which other clocksources there are.
    ClockState state() const;

    bool owned() const { return records_.owned(); }
    // The host has refused its record after sleep, and the clock continues by the TSC. Any context.
    bool alone() const { return records_.alone(); }
    bool enabled() const { return enabled_; }
    // The kernel lists the clocksource. Root can unbind it; then the kernel no longer calls its
    // suspend and resume.
    bool registered() const { return enabled_ && linux_clocksource_is_registered(); }
    bool unbound() const { return enabled_ && !linux_clocksource_is_registered(); }
    bool current() const { return enabled_ && linux_clocksource_is_current(); }
    bool released() const { return released_; }
    int rating() const { return released_ ? kReleasedRating : rating_; }
    bool stable_offered() const { return stable_offered_; }
    bool guarded() const { return host_is_unstable_ || forced_ || revoked_; }
    bool forced() const { return forced_; }
    bool revoked() const { return revoked_; }
    // RDTSCP is one instruction less than LFENCE and RDTSC, and not slower on any CPU tried.
    bool has_rdtscp() const { return has_rdtscp_; }
    u64 ordered_tsc() const { return has_rdtscp_ ? x86::rdtscp() : x86::lfence_rdtsc(); }
    Vdso vdso() const { return vdso_.state(guarded()); }

    // A counter value of kvm-clock is also one of ours. So ptp_kvm, which computes such values from
    // the record that the kernel names for its CPU, gets precise timestamps. Not while the guard is
    // on, because that may return something else.
    bool is_kvm_clock() const {
        return linux_clocksource_has_ids() && kernel_names_our_records_ && !guarded();
    }

    // The time that the clocksource would return now, in ns. Only while enabled; any context, NMI
    // included.
    u64 now_ns() const { return __atomic_load_n(&read_, __ATOMIC_RELAXED)(nullptr); }

private:
    Result<void> enable();
    void disable();

    // The kernel's documentation of struct clocksource: "1-99: Unfit for real use".
    static constexpr int kReleasedRating = 1;

    static const char* why_current();
    void leave_cpus();
    static void begin_time();
    static void begin_time_here();
    int automatic_rating() const;
    void choose_path();
    kvmpv_clock_read_fn callback(bool guarded) const;
    linux_clock_path path() const { return {read_, vdso() == Vdso::kOn, is_kvm_clock()}; }
    void switch_path();
    bool stable_path_has_caught_up() const;

    ClockRecords records_;
    ClockVdso vdso_;
    kvmpv_clock_read_fn read_ = nullptr;
    int rating_ = 0;
    bool stable_offered_ = false;
    // Why the path is guarded. The first one is decided at load.
    bool host_is_unstable_ = false;
    bool forced_ = false;
    bool revoked_ = false;
    bool has_rdtscp_ = false;
    bool kernel_names_our_records_ = false;
    bool kept_ = false;
    bool enabled_ = false;
    bool released_ = false;
    u64 cpu0_wakes_ = 0;
};

inline constexpr int kMaxClockRating = 499;

extern constinit Clock clock;

// Looks at the record that this CPU reads. Interrupts off.
ClockSample look_here();

// The machine with which look() reads a record, outside the hot paths.
struct ClockMachine : LiveMemory {
    static u64 ordered_tsc() { return clock.ordered_tsc(); }
};

}  // namespace kvmpv
