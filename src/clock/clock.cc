// SPDX-License-Identifier: GPL-2.0-only

#include "clock/clock.hh"

#include "base/cpus.hh"
#include "base/followers.hh"
#include "base/irqs.hh"
#include "base/mutex.hh"
#include "clock/clock_read.hh"

namespace kvmpv {

constinit Clock clock;

namespace {

// True in suspend to idle. There the last CPU that goes idle suspends the clock, and the first one
// that wakes up, which may be another, resumes it. A slot that was cleared on the former would stay
// cleared.
bool other_cpus_are_up() { return linux_next_online_cpu(linux_next_online_cpu(-1)) >= 0; }

}  // namespace

Result<void> Clock::start(const kvmpv_parameters& parameters) {
    if (const Result<void> created = create(slots, parameters); !created.ok()) return created;
    if (const Result<void> on = enable(); !on.ok()) return on;
    if (parameters.switches[KVMPV_CLOCK_FORCE_UNSTABLE]) static_cast<void>(force_unstable(true));
    return {};
}

void Clock::stop() {
    disable();
    destroy();
}

Result<void> Clock::create(Slots& found, const kvmpv_parameters& parameters) {
    // First, because the rating depends on the mode.
    const Result<void> created = records_.create(found.clock);
    stable_offered_ = found.kvm.has(Feature::KVM_FEATURE_CLOCKSOURCE_STABLE_BIT);
    has_rdtscp_ = linux_has_rdtscp();
    rating_ = parameters.clock_rating ? parameters.clock_rating : automatic_rating();
    released_ = parameters.switches[KVMPV_CLOCK_RELEASE] == 1;
    vdso_.set_parameter(parameters.switches[KVMPV_CLOCK_VDSO]);
    clock_read::setup.stable_offered = stable_offered_;
    for (const u32 cpu : possible_cpus()) linux_cpu(cpu)->self = linux_cpu(cpu);
    return created;
}

void Clock::destroy() { records_.destroy(); }

// On error everything is undone.
Result<void> Clock::enable() {
    // Records before readers: once the clocksource is registered any CPU may call the callback.
    if (const Result<void> followed = follow_cpus(KVMPV_CLOCK); !followed.ok()) return followed;

    begin_time();
    choose_path();
    vdso_.enable(records_, host_is_unstable_);
    kernel_names_our_records_ = records_.named_by_kernel();
    const linux_clock_path first = path();
    const Result<void> registered =
        Result<void>::from_errno(linux_clocksource_register(&first, rating()));
    if (registered.ok())
        enabled_ = true;
    else
        leave_cpus();
    return registered;
}

void Clock::disable() {
    if (!enabled_) return;
    // The kernel refuses while ours is the only clocksource that it can judge the others by.
    // keep_while_indispensable() makes that all but impossible here. To go on would unload the
    // callback while the kernel still calls it, so all that is left is to ask again. Nothing tells
    // us when that state ends.
    constexpr u32 kAskMs = 100;
    constexpr u32 kSayMs = 60'000;
    for (u32 waited_ms = 0; linux_clocksource_unregister(); waited_ms += kAskMs) {
        if (waited_ms % kSayMs == 0)
            linux_log_err(
                "clock: the kernel judges other clocks by kvmpv and accepts no other one for that; "
                "rmmod continues when another one is registered");
        linux_msleep(kAskMs);
    }
    // Before the records are freed and the code is unloaded.
    linux_clocksource_wait_for_readers();
    leave_cpus();
    enabled_ = false;
}

void Clock::leave_cpus() {
    kvmpv::leave_cpus(KVMPV_CLOCK);
    records_.leave();
}

void Clock::prepare_cpu(u32 cpu) { records_.prepare_cpu(cpu); }

Result<void> Clock::online_cpu(u32 cpu) {
    if (const Result<void> online = records_.online_cpu(cpu); !online.ok()) return online;
    if (enabled_) {
        const IrqsOff irqs_off;
        begin_time_here();
    }
    return {};
}

void Clock::down_cpu(u32 cpu) {
    clock_read::drop_base(*linux_cpu(cpu));
    records_.down_cpu(cpu);
}

void Clock::dead_cpu(u32 cpu) { records_.dead_cpu(cpu); }

void Clock::suspend(u32 cpu) {
    if (!other_cpus_are_up()) records_.suspend(cpu, look_here(), now_ns());
}

// Timekeeping reads the clock right after this, and continues from what it is told. That may
// include the sleep, whose length the TSC may not tell. After hibernation it may also be less than
// before. So the guard begins anew, at what the clock shows then.
void Clock::resume(u32 cpu) {
    clock_read::guard.restart();
    if (!other_cpus_are_up()) records_.resume(cpu);
    clock_read::raise_guard(now_ns());
}

void Clock::restart() { records_.restart(); }

// On stopped CPUs, because revoke_stable() may change the path at the same time: what was computed
// before that must not be set after it.
Result<void> Clock::set_vdso(bool on) {
    const MutexLock lock(KVMPV_MUTEX_CLOCK);
    if (!enabled_) return Error(-kEinval);
    vdso_.set_parameter(on);
    vdso_.enable(records_, host_is_unstable_);
    on_stopped_cpus([this](u32) {
        const linux_clock_path now = path();
        linux_clocksource_set_path(&now);
    });
    return on && !vdso_.is_enabled() ? Error(-kEinval) : Result<void>();
}

bool Clock::user_space_reads_cpu0() const {
    const int read = linux_clocksource_is_read_by_vdso();
    return read < 0 ? current() && vdso() == Vdso::kOn : read == 1;
}

void Clock::wake_cpu0() {
    linux_wake_cpu(0);
    __atomic_fetch_add(&cpu0_wakes_, 1, __ATOMIC_RELAXED);
}

}  // namespace kvmpv
