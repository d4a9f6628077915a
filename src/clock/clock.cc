// SPDX-License-Identifier: GPL-2.0-only

#include "clock/clock.hh"

#include "base/cpus.hh"
#include "base/followers.hh"
#include "clock/clock_read.hh"

namespace kvmpv {

constinit Clock clock;

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
    slots_ = &found.clock;
    stable_offered_ = found.kvm.has(Feature::KVM_FEATURE_CLOCKSOURCE_STABLE_BIT);
    has_rdtscp_ = linux_has_rdtscp();
    rating_ = parameters.clock_rating ? parameters.clock_rating : automatic_rating();
    released_ = parameters.switches[KVMPV_CLOCK_RELEASE] == 1;
    vdso_parameter_ = parameters.switches[KVMPV_CLOCK_VDSO];
    clock_read::setup.stable_offered = stable_offered_;
    clock_read::setup.fallback_record = clock_read::no_record();
    clock_read::setup.second_record = clock_read::no_record();
    for (const u32 cpu : possible_cpus()) {
        struct kvmpv_cpu& own = *linux_cpu(cpu);
        own.self = &own;
        set_record(cpu, clock_read::no_record());
    }
    return owned() ? create_records() : Result<void>();
}

void Clock::destroy() { owned_slots_.destroy(); }

// On error everything is undone.
Result<void> Clock::enable() {
    // Records before readers: once the clocksource is registered any CPU may call the callback.
    if (const Result<void> followed = follow_cpus(KVMPV_CLOCK); !followed.ok()) return followed;

    begin_time();
    choose_path();
    vdso_ = enable_vdso();
    kernel_names_our_records_ = kernel_names_our_records();
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
                "rmmod goes on when another one is registered");
        linux_msleep(kAskMs);
    }
    // Before the records are freed and the code is unloaded.
    linux_clocksource_wait_for_readers();
    leave_cpus();
    enabled_ = false;
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
