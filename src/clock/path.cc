// SPDX-License-Identifier: GPL-2.0-only
//
// The clock: the stable and the guarded path, and what the guard believes at the start.

#include "clock/clock.hh"

#include "base/cpus.hh"
#include "base/irqs.hh"
#include "base/mutex.hh"
#include "clock/clock_read.hh"
#include "events/events.hh"
#include "x86.hh"

namespace kvmpv {

namespace {

// A CPU that comes online later, or whose clock is not believed, is assumed to run as fast as
// another CPU.
void give_all_a_rate() {
    const struct kvmpv_cpu* known = nullptr;
    for (const u32 cpu : possible_cpus()) {
        const struct kvmpv_cpu* own = linux_cpu(cpu);
        if (!known && own->clock_base_mul) known = own;
    }
    if (!known) return;
    for (const u32 cpu : possible_cpus()) {
        struct kvmpv_cpu* own = linux_cpu(cpu);
        if (own->clock_base_mul) continue;
        own->clock_base_mul = known->clock_base_mul;
        own->clock_base_shift = known->clock_base_shift;
    }
}

}  // namespace

ClockSample look_here() {
    ClockMachine machine;
    return look(machine, *clock_read::record_here(), {});
}

// From now on this CPU's clock is checked against its TSC, if what it shows can be true. Interrupts
// off.
void Clock::begin_time_here() {
    struct kvmpv_cpu& own = *x86::this_cpu_load<&kvmpv_cpu.self>();
    const ClockSample now = look_here();
    if (!now.can_tell_time() || !clock_read::guard.can_be(now.ns_at(now.tsc), 0)) return;
    clock_read::set_base(own, now.tsc, now.ns_at(now.tsc));
    clock_read::set_base_rate(own, now);
}

kvmpv_clock_read_fn Clock::callback(bool guarded) const {
    if (guarded)
        return has_rdtscp_ ? kvmpv_clock_read_guarded_rdtscp : kvmpv_clock_read_guarded_lfence;
    return has_rdtscp_ ? kvmpv_clock_read_stable_rdtscp : kvmpv_clock_read_stable_lfence;
}

// If the CPUs' clocks disagree the earliest one is believed. One that is too far ahead would stop
// the clock until the others have caught up.
void Clock::begin_time() {
    clock_read::guard.restart();
    u64 earliest_ns = std::numeric_limits<u64>::max();
    on_each_cpu([&](u32) {
        const ClockSample now = look_here();
        if (!now.can_tell_time()) return;
        const u64 now_ns = now.ns_at(now.tsc);
        u64 least_ns = __atomic_load_n(&earliest_ns, __ATOMIC_RELAXED);
        while (now_ns < least_ns &&
               !__atomic_compare_exchange_n(&earliest_ns, &least_ns, now_ns, false,
                                            __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        }
    });
    if (earliest_ns == std::numeric_limits<u64>::max()) return;
    clock_read::guard.move_horizon(earliest_ns);
    on_each_cpu([](u32) { begin_time_here(); });
    give_all_a_rate();
}

void Clock::choose_path() {
    host_is_unstable_ = !stable_offered_ ||
                        !(x86::load(clock_read::setup.fallback_record->flags) & kPvclockTscStable);
    read_ = callback(guarded());
    if (guarded()) return;
    const IrqsOff irqs_off;
    clock_read::raise_guard(read_(nullptr));
}

// Stable reads bypass the guard. So all CPUs stop. Each raises the guard to what a stable read
// would return, and none reads again before the last one has done so. So no guarded read is below a
// stable read that came before it.
void Clock::switch_path() {
    on_stopped_cpus([this](u32) {
        clock_read::raise_guard(callback(false)(nullptr));
        __atomic_store_n(&read_, callback(guarded()), __ATOMIC_RELAXED);
        const linux_clock_path now = path();
        linux_clocksource_set_path(&now);
    });
}

// The stable path knows no guard. If the guard is holding time at its last value, the stable path
// would take time back. If the guard does not believe a CPU's clock, the stable path would return
// it anyway. Waits about a second for both to end, and returns whether they have. Interrupts on;
// sleeps.
bool Clock::stable_path_has_caught_up() const {
    constexpr u32 kPatienceMs = 1000;
    for (u32 waited_ms = 0; waited_ms < kPatienceMs; ++waited_ms) {
        u32 cpus_behind = 0;
        on_each_cpu([&](u32) {
            const u64 last_ns = clock_read::guard.last_ns();
            const u64 now_ns = callback(false)(nullptr);
            struct kvmpv_cpu& own = *x86::this_cpu_load<&kvmpv_cpu.self>();
            const u64 latest_ns = clock_read::latest_ns_at(own, x86::rdtsc());
            if (now_ns < last_ns || !clock_read::guard.can_be(now_ns, latest_ns))
                __atomic_fetch_add(&cpus_behind, 1, __ATOMIC_RELAXED);
        });
        if (!cpus_behind) return true;
        linux_msleep(1);
    }
    return false;
}

Result<void> Clock::force_unstable(bool forced) {
    const MutexLock lock(KVMPV_MUTEX_CLOCK);
    if (!enabled_) return Error(-kEinval);
    if (!forced && revoked_) {
        linux_log_warn("force_unstable: the host's promise was broken; the guard stays on");
        return Error(-kEbusy);
    }
    if (forced == forced_) return {};
    if (!forced && !host_is_unstable_ && !stable_path_has_caught_up()) {
        linux_log_warn(
            "force_unstable: a CPU's clock is behind what was shown, or far ahead of time; the "
            "guard stays on");
        return Error(-kEbusy);
    }
    forced_ = forced;
    if (!host_is_unstable_) switch_path();
    {
        const EventsLock events_lock;
        events.add({linux_monotonic_ns(),
                    0,
                    {},
                    {},
                    kNoCpu,
                    forced ? EventKind::kGuardForced : EventKind::kGuardReleased,
                    false});
    }
    linux_waiters_wake();
    return {};
}

void Clock::revoke_stable() {
    revoked_ = true;
    switch_path();
}

}  // namespace kvmpv
