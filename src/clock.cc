// SPDX-License-Identifier: GPL-2.0-only

#include "clock.hh"

#include "clock_read.hh"
#include "kvmpv/x86.hh"
#include "survey.hh"

namespace kvmpv {

constinit Clock clock;

namespace {

// arch/x86/kernel/kvmclock.c: 400, or 299 where the TSC (300) is good enough to be preferred.
constexpr int kNativeRating = 400;
constexpr int kNativeRatingBesideGoodTsc = 299;

// Where native's struct cannot be found, the lower of its two ratings that is possible here: too
// low is harmless, too high would make the kernel switch to us when we are loaded.
int native_rating() {
    const int found = linux_native_clock_rating();
    if (found > 0) return found;
    return linux_tsc_is_invariant() ? kNativeRatingBesideGoodTsc : kNativeRating;
}

const PvclockVcpuTimeInfo* native_page(u32 cpu) {
    u64 physical;
    const void* page = linux_native_clock_page(cpu, &physical);
    return static_cast<const PvclockVcpuTimeInfo*>(page ? page : kvmpv_no_clock_page);
}

bool page_promises_stable(u32 cpu) {
    return x86::load(native_page(cpu)->flags) & kPvclockTscStable;
}

}  // namespace

kvmpv_clock_read_fn Clock::choose_read() const {
    if (guarded_)
        return uses_lfence_ ? kvmpv_clock_read_guarded_lfence : kvmpv_clock_read_guarded_rdtscp;
    return uses_lfence_ ? kvmpv_clock_read_stable_lfence : kvmpv_clock_read_stable_rdtscp;
}

void Clock::create(const Survey& found, int requested_rating) {
    const bool offered = found.kvm.has(Feature::KVM_FEATURE_CLOCKSOURCE_STABLE_BIT);
    clock_read::setup.stable_offered = offered;

    linux_cpus_lock();
    const int first_cpu = linux_next_online_cpu(-1);
    choose_fallback_page(static_cast<u32>(-1));
    guarded_ = !offered || !page_promises_stable(static_cast<u32>(first_cpu));
    linux_cpus_unlock();

    uses_lfence_ = linux_lfence_orders_rdtsc();
    read_ = choose_read();
    rating_ = requested_rating ? requested_rating : native_rating() - 1;
}

Result<void> Clock::enable() {
    // Records before readers: from the registration on any CPU may call the callback.
    const Result<void> hotplug = Result<void>::from_errno(linux_hotplug_enable());
    if (!hotplug.ok()) return hotplug;

    const Result<void> registered =
        Result<void>::from_errno(linux_clocksource_register(read_, rating_));
    if (!registered.ok()) {
        linux_hotplug_disable();
        return registered;
    }
    enabled_ = true;
    return {};
}

void Clock::disable() {
    if (!enabled_) return;
    // Refused while the clocksource is the only one that can judge the others. Leaving would take
    // the callback's code away under the kernel, so there is nothing to do but ask again; nothing
    // tells us when that state ends.
    if (linux_clocksource_unregister()) {
        linux_log_err("the kernel cannot do without the clocksource kvmpv yet; waiting");
        do linux_msleep(100);
        while (linux_clocksource_unregister());
    }
    linux_hotplug_disable();
    enabled_ = false;
}

void Clock::prepare_cpu(u32 cpu) {
    __atomic_store_n(&linux_cpu(cpu)->clock_page, static_cast<const void*>(native_page(cpu)),
                     __ATOMIC_RELEASE);
}

void Clock::cpu_dead(u32 cpu) {
    __atomic_store_n(&linux_cpu(cpu)->clock_page, static_cast<const void*>(kvmpv_no_clock_page),
                     __ATOMIC_RELEASE);
    // A halted vCPU's record is not kept up to date.
    if (clock_read::setup.fallback_page == native_page(cpu)) choose_fallback_page(cpu);
}

void Clock::choose_fallback_page(u32 except_cpu) {
    for (int cpu = linux_next_online_cpu(-1); cpu >= 0; cpu = linux_next_online_cpu(cpu)) {
        if (static_cast<u32>(cpu) == except_cpu) continue;
        __atomic_store_n(&clock_read::setup.fallback_page, native_page(static_cast<u32>(cpu)),
                         __ATOMIC_RELEASE);
        return;
    }
}

Result<void> Clock::release(bool released) {
    if (!enabled_) return Error(-kEinval);
    released_ = released;
    linux_clocksource_set_rating(rating());
    if (released && current()) {
        linux_log_warn(
            "release: the kernel stays with kvmpv because current_clocksource was set to it, "
            "which overrides ratings; write another name of available_clocksource to "
            "/sys/devices/system/clocksource/clocksource0/current_clocksource");
        return Error(-kEbusy);
    }
    return {};
}

}  // namespace kvmpv

extern "C" int kvmpv_cpu_prepare(u32 cpu) {
    kvmpv::clock.prepare_cpu(cpu);
    return 0;
}

extern "C" void kvmpv_cpu_dead(u32 cpu) { kvmpv::clock.cpu_dead(cpu); }
