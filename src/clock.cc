// SPDX-License-Identifier: GPL-2.0-only

#include "clock.hh"

#include "clock_read.hh"
#include "cpus.hh"
#include "events.hh"
#include "followers.hh"
#include "irqs.hh"
#include "kvmpv/text.hh"
#include "kvmpv/x86.hh"
#include "log.hh"
#include "mutex.hh"

namespace kvmpv {

constinit Clock clock;

namespace {

// arch/x86/kernel/kvmclock.c: 400, or 299 where the TSC (300) is good enough to be preferred.
constexpr int kNativeRating = 400;
constexpr int kNativeRatingBesideGoodTsc = 299;

// One below the kernel's own kvm-clock, so that loading alone changes nothing. Where its struct
// cannot be found, below the lower of the two ratings that are possible here: too low is harmless,
// too high would make the kernel switch to us.
int rating_beside_native() {
    const int found = linux_native_clock_rating();
    if (found > 0) return found - 1;
    return (linux_tsc_is_invariant() ? kNativeRatingBesideGoodTsc : kNativeRating) - 1;
}

// What native would have had: a guest on hpet or acpi_pm moves to us by itself, one on a good TSC
// stays there.
int rating_instead_of_native() {
    return linux_tsc_is_invariant() && !linux_tsc_is_unstable() ? kNativeRatingBesideGoodTsc
                                                                : kNativeRating;
}

const PvclockVcpuTimeInfo* no_record() {
    return reinterpret_cast<const PvclockVcpuTimeInfo*>(kvmpv_no_clock_record);
}

// What this CPU's record says. Interrupts off.
ClockSample look_here() {
    ClockMachine machine;
    const void* const record = x86::this_cpu_load<&kvmpv_cpu.clock_record>();
    return look(machine, *static_cast<const PvclockVcpuTimeInfo*>(record), {});
}

// The CPU's clock is held against its TSC from now on, if what it shows can be true. Interrupts
// off.
void begin_time_here() {
    struct kvmpv_cpu& own = *x86::this_cpu_load<&kvmpv_cpu.self>();
    const ClockSample now = look_here();
    if (!now.can_tell_time() || !clock_read::guard.can_be(now.ns_at(now.tsc), 0)) return;
    clock_read::set_base(own, now.tsc, now.ns_at(now.tsc));
    clock_read::set_base_rate(own, now);
}

// A CPU that comes later, or whose clock is not believed, is taken to run as fast as another.
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

const PvclockVcpuTimeInfo* Clock::record_of(u32 cpu) const {
    if (owned()) return static_cast<const PvclockVcpuTimeInfo*>(owned_slots_.address_of(cpu));
    u64 physical;
    const void* record = linux_native_clock_record(cpu, &physical);
    return record ? static_cast<const PvclockVcpuTimeInfo*>(record) : no_record();
}

void Clock::set_record(u32 cpu, const PvclockVcpuTimeInfo* record) {
    __atomic_store_n(&linux_cpu(cpu)->clock_record, static_cast<const void*>(record),
                     __ATOMIC_RELEASE);
}

// Where the kernel has a record of its own, in a guest whose slots somebody has cleared, its own
// clocks go on reading there, and would follow a null pointer after us.
void Clock::publish_record(u32 cpu, const void* record) {
    u64 physical;
    const void* named = linux_native_clock_record(cpu, &physical);
    if (!named || named == record_of(cpu) || named == kept_page())
        linux_native_clock_publish(cpu, record);
}

// Also that of a CPU which was not up meanwhile. While the kernel has a page for user space,
// ptp_kvm takes it that every CPU has a record, and follows the pointer: to one that stands still,
// then.
void Clock::leave_cpus() {
    kvmpv::leave_cpus(KVMPV_CLOCK);
    if (!kept_page()) return;
    for (const u32 cpu : possible_cpus()) publish_record(cpu, kept_page());
}

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
    const int automatic = owned() ? rating_instead_of_native() : rating_beside_native();
    rating_ = parameters.clock_rating ? parameters.clock_rating : automatic;
    released_ = parameters.switches[KVMPV_CLOCK_RELEASE] == 1;
    vdso_parameter_ = parameters.vdso;
    clock_read::setup.stable_offered = stable_offered_;
    clock_read::setup.fallback_record = no_record();
    clock_read::setup.second_record = no_record();
    for (const u32 cpu : possible_cpus()) {
        struct kvmpv_cpu& own = *linux_cpu(cpu);
        own.self = &own;
        set_record(cpu, no_record());
    }
    return owned() ? create_records() : Result<void>();
}

Result<void> Clock::create_records() {
    // An earlier load of ours may have left CPU 0's page behind for the processes that mapped it.
    if (const void* left_behind = linux_vdso_page();
        left_behind && !linux_is_in_kernel_image(left_behind)) {
        owned_slots_.adopt_cpu0(left_behind);
    }
    return owned_slots_.create(*slots_);
}

void Clock::destroy() { owned_slots_.destroy(); }

kvmpv_clock_read_fn Clock::callback(bool guarded) const {
    if (guarded)
        return has_rdtscp_ ? kvmpv_clock_read_guarded_rdtscp : kvmpv_clock_read_guarded_lfence;
    return has_rdtscp_ ? kvmpv_clock_read_stable_rdtscp : kvmpv_clock_read_stable_lfence;
}

// Of clocks that do not agree the earliest is believed: one that is too late would stop the clock
// until the others have come there.
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

// Stable reads pass by the guard. So all CPUs stop, each raises the guard to what it would have
// shown, and none reads again before the last one has: the first guarded read is not below any
// stable one that was done by then.
void Clock::switch_path() {
    on_stopped_cpus([this](u32) {
        clock_read::raise_guard(callback(false)(nullptr));
        __atomic_store_n(&read_, callback(guarded()), __ATOMIC_RELAXED);
        const linux_clock_path now = path();
        linux_clocksource_set_path(&now);
    });
}

// What the guard has held at its last value would be taken back by the path that knows no guard,
// and what it does not believe would be shown.
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
    const EventsLock events_lock;
    events.add({linux_monotonic_ns(),
                0,
                {},
                {},
                kNoCpu,
                forced ? EventKind::kGuardForced : EventKind::kGuardReleased,
                false});
    return {};
}

void Clock::revoke_stable() {
    revoked_ = true;
    switch_path();
}

// The kernel's own conditions first: the mode may be shown only when the page is named and may be
// mapped, or every process that reads the time dies of SIGBUS.
Vdso Clock::enable_vdso() {
    if (vdso_parameter_ == 0) return Vdso::kParameter;
    if (owned() && vdso_parameter_ != 1) return Vdso::kOwnedMode;
    if (guarded()) return Vdso::kNotStable;
    if (owned()) {
        const void* named = linux_vdso_page();
        if (named && named != owned_slots_.cpu0_page()) return Vdso::kKernelsPage;
        if (linux_vdso_publish_page(owned_slots_.cpu0_page())) return Vdso::kNoPage;
        owned_slots_.keep_cpu0();
    } else if (linux_vdso_page() != record_of(0)) {
        return Vdso::kNoPage;
    }
    if (linux_vdso_allow_mapping()) return Vdso::kNoMappingBit;
    return Vdso::kOn;
}

// What is not named yet, of a CPU that has not come, will be.
bool Clock::kernel_names_our_records() const {
    for (const u32 cpu : possible_cpus()) {
        u64 physical;
        const void* named = linux_native_clock_record(cpu, &physical);
        if (named && named != record_of(cpu) && named != kept_page()) return false;
    }
    return true;
}

// Nothing stays behind on error.
Result<void> Clock::enable() {
    // Records before readers: from the registration on any CPU may call the callback.
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
    // Refused while the clocksource is the only one that can judge the others, which
    // keep_while_indispensable() makes as good as impossible. Leaving would take the callback's
    // code away under the kernel, so there is nothing to do but ask again; nothing tells us when
    // that state ends.
    constexpr u32 kAskMs = 100;
    constexpr u32 kSayMs = 60'000;
    for (u32 waited_ms = 0; linux_clocksource_unregister(); waited_ms += kAskMs) {
        if (waited_ms % kSayMs == 0)
            linux_log_err(
                "clock: the kernel judges other clocks by kvmpv and accepts no other one for that; "
                "rmmod goes on when another one is registered");
        linux_msleep(kAskMs);
    }
    // Before the records go, and the code.
    linux_clocksource_wait_for_readers();
    leave_cpus();
    enabled_ = false;
}

// Shared mode: native has given the CPU its record by now and registers it before the CPU asks for
// the time.
void Clock::prepare_cpu(u32 cpu) {
    if (!owned()) set_record(cpu, record_of(cpu));
}

Result<void> Clock::online_cpu(u32 cpu) {
    if (owned()) {
        if (const Result<void> taken = owned_slots_.take(cpu); !taken.ok()) {
            owned_slots_.put_back(cpu);
            return taken;
        }
        set_record(cpu, record_of(cpu));
        publish_record(cpu, record_of(cpu));
    }
    add_fallback_record(record_of(cpu));
    if (enabled_) {
        const IrqsOff irqs_off;
        begin_time_here();
    }
    return {};
}

void Clock::down_cpu(u32 cpu) {
    clock_read::drop_base(*linux_cpu(cpu));
    // Readers first: between the two steps nobody looks at a record that is no longer written.
    if (clock_read::setup.fallback_record == record_of(cpu) ||
        clock_read::setup.second_record == record_of(cpu))
        choose_fallback_records(static_cast<s32>(cpu));
    if (!owned()) return;
    set_record(cpu, no_record());
    publish_record(cpu, kept_page());
    owned_slots_.put_back(cpu);
}

void Clock::dead_cpu(u32 cpu) { set_record(cpu, no_record()); }

// A halted vCPU's record is not kept up to date, so a CPU that goes cannot be the one to ask.
void Clock::choose_fallback_records(s32 except_cpu) {
    const PvclockVcpuTimeInfo* chosen[2] = {no_record(), no_record()};
    u32 count = 0;
    for (const u32 cpu : online_cpus()) {
        if (static_cast<s32>(cpu) == except_cpu) continue;
        chosen[count++] = record_of(cpu);
        if (count == 2) break;
    }
    __atomic_store_n(&clock_read::setup.fallback_record, chosen[0], __ATOMIC_RELEASE);
    __atomic_store_n(&clock_read::setup.second_record, chosen[1], __ATOMIC_RELEASE);
}

void Clock::add_fallback_record(const PvclockVcpuTimeInfo* record) {
    const clock_read::Setup& setup = clock_read::setup;
    if (setup.fallback_record == no_record())
        __atomic_store_n(&clock_read::setup.fallback_record, record, __ATOMIC_RELEASE);
    else if (setup.second_record == no_record() && setup.fallback_record != record)
        __atomic_store_n(&clock_read::setup.second_record, record, __ATOMIC_RELEASE);
}

// In suspend to idle the last CPU that goes idle suspends the clock, and the first that wakes,
// which may be another, resumes it: a slot cleared here would stay so.
bool Clock::other_cpus_are_up() { return linux_next_online_cpu(linux_next_online_cpu(-1)) >= 0; }

void Clock::suspend(u32 cpu) {
    if (owned() && !other_cpus_are_up()) owned_slots_.suspend(cpu);
}

// The kernel's timekeeping asks for the time right after this, and takes what it is told for the
// moment when it goes on: it has to be told how long the sleep was, which no TSC need know.
void Clock::resume(u32 cpu) {
    if (other_cpus_are_up()) return;
    clock_read::guard.forget_horizon();
    if (owned() && !owned_slots_.resume(cpu).ok()) set_record(cpu, no_record());
}

void Clock::restart() {
    if (!slots_ || !owned()) return;
    on_each_cpu([this](u32) { owned_slots_.disarm(); });
}

// Somebody may unbind the clocksource in between: then the kernel has taken it up again, and
// `status` and rmmod find it so.
Result<void> Clock::release(bool released) {
    const MutexLock lock(KVMPV_MUTEX_CLOCK);
    if (!enabled_) return Error(-kEinval);
    if (!linux_clocksource_is_registered()) {
        linux_log_warn(
            "release: kvmpv was unbound by unbind_clocksource; the kernel does not know it any "
            "more");
        return Error(-kEinval);
    }
    released_ = released;
    linux_clocksource_set_rating(rating());
    if (released && current()) {
        LineBuffer<300> line;
        Writer<LineSink<300>>(LineSink<300>{&line})
            << "release: the kernel stays with kvmpv: " << why_current();
        linux_log_warn(line.text());
        return Error(-kEbusy);
    }
    return {};
}

// With the lowest of all ratings: by name, or because the others are not fit for high resolution.
const char* Clock::why_current() {
    switch (linux_clocksource_is_named()) {
        case 1:
            return "current_clocksource was set to it, which overrides ratings; write another name "
                   "of available_clocksource to it";
        case 0:
            return "it has no other clock for high-resolution timers (available_clocksource names "
                   "none)";
        default:
            return "current_clocksource was set to it, which overrides ratings, or there is no "
                   "other clock for high-resolution timers; if available_clocksource has another "
                   "name, write that to current_clocksource";
    }
}

void Clock::wake_cpu0() {
    linux_wake_cpu(0);
    __atomic_fetch_add(&cpu0_wakes_, 1, __ATOMIC_RELAXED);
}

void Clock::keep_while_indispensable() {
    const bool keep = registered() && linux_clocksource_is_indispensable() == 1;
    if (keep == kept_) return;
    if (keep) {
        if (!linux_module_keep()) return;
        linux_log_info(
            "clock: the kernel judges other clocks by kvmpv and accepts no other one for that; "
            "rmmod answers EBUSY until it has one");
    } else {
        linux_log_info("clock: the kernel can do without kvmpv again");
        linux_module_let_go();
    }
    kept_ = keep;
}

}  // namespace kvmpv
