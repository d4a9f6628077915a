// SPDX-License-Identifier: GPL-2.0-only
//
// The clocksource "kvmpv": when it exists, what it reads, how good it claims to be.

#pragma once

#include "base/live_memory.hh"
#include "clock/state.hh"
#include "kvmpv/boundary.h"
#include "kvmpv/pvclock.hh"
#include "kvmpv/result.hh"
#include "kvmpv/x86.hh"
#include "slot/owned_slots.hh"
#include "slot/slots.hh"

namespace kvmpv {

class Clock {
public:
    // For mode kShared or kOwned: gives every CPU its record, chooses the read path and registers
    // the clocksource.
    Result<void> start(const kvmpv_parameters& parameters);

    // Waits until the kernel can do without the clocksource, then takes everything back.
    void stop();

    // The first and last part of that: allocates the records of owned mode, and changes nothing in
    // the kernel.
    Result<void> create(Slots& found, const kvmpv_parameters& parameters);
    void destroy();

    // CPU hotplug, see linux_hotplug_enable(). A CPU without a record reads another's, or the
    // guard's last value.
    void prepare_cpu(u32 cpu);
    Result<void> online_cpu(u32 cpu);
    void down_cpu(u32 cpu);
    void dead_cpu(u32 cpu);

    // The slot of the only CPU that is up around suspend, every CPU's before a restart: nothing
    // that runs in between or afterwards may find its memory written by the host. In suspend to
    // idle all CPUs are up, nothing else runs in between, and the slots stay.
    void suspend(u32 cpu);
    void resume(u32 cpu);
    void restart();

    // Lowers our rating below every other clock's and lets the kernel choose; or takes that back.
    // -EBUSY if the kernel stays with kvmpv because the user named it, -EINVAL with no clocksource.
    Result<void> release(bool released);

    // The guarded path, and no vDSO mode, from the next read on; or back, as the host promises.
    // -EBUSY if there is no way back, -EINVAL with no clocksource.
    Result<void> force_unstable(bool forced);

    // User space reads by itself from the kernel's next tick on, or no more. -EINVAL with no
    // clocksource, or where a condition is not met; vdso() says which.
    Result<void> set_vdso(bool on);
    bool vdso_is_wanted() const { return vdso_ == Vdso::kOn; }

    // The guarded path for good: CPUs have been seen to disagree.
    void revoke_stable();

    // Has rmmod refused while the kernel would refuse to unregister the clocksource: nobody else
    // can judge the others. Once a second, never twice at once.
    void keep_while_indispensable();
    bool kept() const { return kept_; }
    // Nobody keeps watch over that any more; rmmod waits instead.
    void let_go();

    // Through whichever clocksource.
    bool user_space_reads_cpu0() const;
    // CPU 0 runs once: user space reads its record, which the host brings up to date when that vCPU
    // runs next.
    void wake_cpu0();

    // Any context but NMI.
    ClockState state() const;

    bool owned() const { return slots_->decision().mode == Mode::kOwned; }
    bool enabled() const { return enabled_; }
    // The kernel lists the clocksource. It can be unbound by root, and is then told nothing more.
    bool registered() const { return enabled_ && linux_clocksource_is_registered(); }
    bool unbound() const { return enabled_ && !linux_clocksource_is_registered(); }
    bool current() const { return enabled_ && linux_clocksource_is_current(); }
    bool released() const { return released_; }
    int rating() const { return released_ ? kReleasedRating : rating_; }
    bool stable_offered() const { return stable_offered_; }
    bool guarded() const { return host_is_unstable_ || forced_ || revoked_; }
    bool forced() const { return forced_; }
    bool revoked() const { return revoked_; }
    // One instruction less than lfence and rdtsc, and not slower on any CPU tried.
    bool has_rdtscp() const { return has_rdtscp_; }
    u64 ordered_tsc() const { return has_rdtscp_ ? x86::rdtscp() : x86::lfence_rdtsc(); }
    Vdso vdso() const { return vdso_ == Vdso::kOn && guarded() ? Vdso::kGuardOn : vdso_; }

    // A counter of kvm-clock's is one of ours: ptp_kvm, which computes it from the record that the
    // kernel names for its CPU, gets its precise time stamps. Not so where the guard has a say.
    bool is_kvm_clock() const {
        return linux_clocksource_has_ids() && kernel_names_our_records_ && !guarded();
    }

    // Owned mode: user space may have mapped CPU 0's page, so it is never given back.
    bool page_is_kept() const { return owned_slots_.cpu0_is_kept(); }

    // The time that the clocksource would return now, in nanoseconds. Only while enabled.
    u64 now_ns() const { return __atomic_load_n(&read_, __ATOMIC_RELAXED)(nullptr); }

private:
    Result<void> enable();
    void disable();

    // The kernel's documentation of struct clocksource: "1-99: Unfit for real use".
    static constexpr int kReleasedRating = 1;

    static const char* why_current();
    const PvclockVcpuTimeInfo* record_of(u32 cpu) const;
    void set_record(u32 cpu, const PvclockVcpuTimeInfo* record);
    static bool other_cpus_are_up();
    void publish_record(u32 cpu, const void* record);
    void leave_cpus();
    const void* kept_page() const { return page_is_kept() ? owned_slots_.cpu0_page() : nullptr; }
    void choose_fallback_records(s32 except_cpu);
    void add_fallback_record(const PvclockVcpuTimeInfo* record);
    static void begin_time();
    static void begin_time_here();
    int automatic_rating() const;
    void choose_path();
    kvmpv_clock_read_fn callback(bool guarded) const;
    linux_clock_path path() const { return {read_, vdso() == Vdso::kOn, is_kvm_clock()}; }
    void switch_path();
    bool kernel_names_our_records() const;
    bool stable_path_has_caught_up() const;
    Result<void> create_records();
    Vdso enable_vdso();

    Registration<ClockLayout>* slots_ = nullptr;
    OwnedSlots<ClockLayout> owned_slots_{"clock"};
    kvmpv_clock_read_fn read_ = nullptr;
    int rating_ = 0;
    int vdso_parameter_ = 0;
    Vdso vdso_ = Vdso::kParameter;
    bool stable_offered_ = false;
    // Why the path is the guarded one. The first is decided at load.
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

// What look() at a record needs, outside the hot paths.
struct ClockMachine : LiveMemory {
    static u64 ordered_tsc() { return clock.ordered_tsc(); }
};

}  // namespace kvmpv
