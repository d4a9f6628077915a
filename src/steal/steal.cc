// SPDX-License-Identifier: GPL-2.0-only

#include "steal/steal.hh"

#include "base/followers.hh"
#include "base/irqs.hh"
#include "base/log.hh"
#include "base/memory.hh"
#include "base/mutex.hh"
#include "events/events.hh"
#include "x86.hh"

namespace kvmpv {

constinit Steal steal;

namespace {

using steal_clock::CpuState;
using steal_clock::state_of;

// Measures the TSC's rate, for a kernel that does not know it: one booted with nopv cannot find it
// out. The TSC is read between the two reads of the clock. So a try finds too little if the vCPU is
// stopped in between, and the largest of several results is the most accurate. Sleeps.
u32 measure_tsc_khz() {
    constexpr u32 kTries = 3;
    constexpr u32 kWindowMs = 20;
    u64 largest_khz = 0;
    for (u32 i = 0; i < kTries; ++i) {
        const u64 begin_ns = linux_monotonic_ns();
        const u64 begin_tsc = x86::rdtsc();
        linux_msleep(kWindowMs);
        const u64 ticks = x86::rdtsc() - begin_tsc;
        const u64 ns = linux_monotonic_ns() - begin_ns;
        const u64 khz = ns ? ticks * 1'000'000 / ns : 0;
        if (khz > largest_khz) largest_khz = khz;
    }
    return static_cast<u32>(largest_khz);
}

// Starts counting anew, so that from now on the parts of what is stolen add up to the whole again.
void forget(CpuState& state) {
    state.shape = {};
    state.longest = {};
    state.reset_total_ns = state.clock.total_ns;
    if (steal_tasks::Charges* charges = steal_tasks::charges_of(state.clock.cpu)) charges->clear();
}

s64 event_value(u64 ns) {
    constexpr u64 kLargest = static_cast<u64>(std::numeric_limits<s64>::max());
    return static_cast<s64>(ns < kLargest ? ns : kLargest);
}

}  // namespace

KvmStealTime* Steal::record_of(u32 cpu) const {
    if (owned()) return static_cast<KvmStealTime*>(owned_slots_.address_of(cpu));
    u64 physical = 0;
    return static_cast<KvmStealTime*>(linux_native_steal_record(cpu, &physical));
}

// If the kernel's accounting cannot be made to ask us, there is no use in owning the slots.
Result<void> Steal::start(const kvmpv_parameters& parameters) {
    if (const Result<void> created = create(slots); !created.ok()) return created;
    if (const Result<void> on = enable(); !on.ok()) return on;
    if (parameters.switches[KVMPV_STEAL_HOOK])
        if (const Result<void> hooked = set_hooked(true); !hooked.ok()) return hooked;
    if (parameters.switches[KVMPV_STEAL_ATTRIBUTION])
        if (const Result<void> on = set_attribution(true); !on.ok())
            log_error("steal: attribution could not be switched on", on.error());
    return {};
}

void Steal::stop() {
    disable();
    destroy();
}

// Allocates the records of owned mode. Changes nothing in the kernel.
Result<void> Steal::create(Slots& found) {
    slots_ = &found.steal;
    u32 tsc_khz = linux_tsc_khz();
    if (!tsc_khz) tsc_khz = measure_tsc_khz();
    if (!tsc_khz) return Error(-kEio);
    steal_clock::setup = {TicksToNs(tsc_khz), linux_tick_ns(), false, false};
    states_ = allocate<u8>(u64{last_possible_cpu() + 1} * steal_clock::kStateStride);
    if (!states_) return Error(-kEnomem);
    for (const u32 cpu : possible_cpus()) {
        linux_cpu(cpu)->steal_here = states_ + u64{cpu} * steal_clock::kStateStride;
        state_of(cpu).clock.cpu = cpu;
        // The tick looks at it. Without a clock nobody has set it.
        if (!linux_cpu(cpu)->clock_record) linux_cpu(cpu)->clock_record = kvmpv_no_clock_record;
    }
    return owned() ? owned_slots_.create(*slots_) : Result<void>();
}

void Steal::destroy() {
    owned_slots_.destroy();
    steal_tasks::destroy();
    linux_memory_destroy(states_);
    states_ = nullptr;
}

// On error everything is undone.
Result<void> Steal::enable() {
    const Result<void> followed = follow_cpus(KVMPV_STEAL);
    enabled_ = followed.ok();
    return followed;
}

void Steal::disable() {
    if (!enabled_) return;
    static_cast<void>(steal_tasks::set_on(false));
    while (hooked() && !unhook().ok()) hook_.wait_until_on_top("steal");
    leave_cpus(KVMPV_STEAL);
    enabled_ = false;
}

Result<void> Steal::set_attribution(bool wanted) {
    const MutexLock lock(KVMPV_MUTEX_STEAL);
    if (!enabled_) return Error(-kEinval);
    if (wanted == steal_tasks::is_on()) return {};
    const Result<void> done = steal_tasks::set_on(wanted);
    if (done.ok() && wanted) forget_all();
    return done;
}

Result<void> Steal::set_hooked(bool wanted) {
    const MutexLock lock(KVMPV_MUTEX_STEAL);
    if (!enabled_) return Error(-kEinval);
    if (wanted == hooked()) return {};
    return wanted ? hook() : unhook();
}

// ---- Whose clock the kernel asks ----------------------------------------------------------------

// On `cpu`, with interrupts off.
void Steal::begin_cpu(u32 cpu) {
    const bool native_is_asked = !owned() && !hooked();
    steal_clock::begin(state_of(cpu), record_of(cpu), native_is_asked);
}

// The kernel's own clock shows the record as it is, so every record has to say what we have shown.
// Nobody looks at an offline CPU's record until that CPU comes online. First the in-flight calls
// from other CPUs have to end that have not seen handover_in_progress yet. Otherwise one of them
// could be shown more than the record is healed to.
void Steal::heal_all() {
    steal_clock::setup.handover_in_progress = true;
    linux_wait_for_callers();
    const CpusLock lock;
    u32 not_healed = 0;
    on_or_for_each_cpu([&](u32 cpu) {
        if (!steal_clock::heal(state_of(cpu), *record_of(cpu)))
            __atomic_fetch_add(&not_healed, 1, __ATOMIC_RELAXED);
    });
    if (not_healed)
        linux_log_err(
            "steal: a record does not say what was written to it; the kernel may see "
            "steal time step");
}

// ---- The hook -----------------------------------------------------------------------------------

void Steal::prepare_hook() {
    const CpusLock lock;
    steal_clock::setup.handover_in_progress = !owned();
    on_or_for_each_cpu([this](u32 cpu) {
        steal_clock::prepare_hook(state_of(cpu), !owned());
        forget(state_of(cpu));
    });
    steal_clock::setup.looks_are_ticks = true;
}

// A clock takes over at its next look, which an idle CPU makes only when it wakes up. Until then
// other CPUs are shown the record as it is. So every CPU looks now.
void Steal::end_handover() {
    steal_clock::setup.handover_in_progress = false;
    if (owned() || !hooked()) return;
    const CpusLock lock;
    on_or_for_each_cpu([](u32 cpu) { steal_clock::look(state_of(cpu)); });
}

// Once we are hooked, the kernel subtracts the value that it already has from ours. So the clocks
// are prepared first.
Result<void> Steal::hook() {
    prepare_hook();
    const void* const ours = reinterpret_cast<const void*>(kvmpv_steal_clock);
    const Result<void> done = owned() ? hook_.hook_and_start(ours) : hook_.hook(ours);
    end_handover();
    was_hooked_ |= done.ok();
    if (!done.ok()) steal_clock::setup.looks_are_ticks = false;
    return done;
}

Result<void> Steal::unhook() {
    // Checked first, because healing cannot be undone unnoticed.
    if (!hook_.on_top()) return Error(-kEbusy);
    if (!owned()) heal_all();
    const Result<void> done = owned() ? hook_.stop_and_unhook() : hook_.unhook();
    end_handover();
    if (!done.ok()) return done;
    steal_clock::setup.looks_are_ticks = false;
    const CpusLock lock;
    on_or_for_each_cpu([](u32 cpu) { steal_clock::leave_hook(state_of(cpu)); });
    return done;
}

// ---- CPU hotplug, suspend, restart --------------------------------------------------------------

// Interrupts are off from the write to the slot until the look at the record. What the host has
// added by then belongs to the time before; only what it adds later counts.
Result<void> Steal::register_cpu(u32 cpu) {
    const IrqsOff irqs_off;
    const Result<void> registered = owned() ? owned_slots_.take(cpu) : check_native_slot(cpu);
    if (registered.ok()) begin_cpu(cpu);
    return registered;
}

Result<void> Steal::check_native_slot(u32 cpu) {
    u64 physical = 0;
    linux_native_steal_record(cpu, &physical);
    const Result<u64> slot = LiveKernel::rdmsr_here(slots_->msr());
    if (!slot.ok()) return slot.error();
    if (slot.value() != (physical | kMsrEnabled)) return Error(-kEnodev);
    return {};
}

Result<void> Steal::online_cpu(u32 cpu) {
    if (const Result<void> table = steal_tasks::online_cpu(cpu); !table.ok())
        log_cpu_error("steal", "nothing is charged to tasks", cpu, table.error());
    const Result<void> registered = register_cpu(cpu);
    if (registered.ok()) return {};
    if (owned())
        owned_slots_.put_back(cpu);
    else
        log_cpu_error("steal", "the kernel has no record", cpu, registered.error());
    return registered;
}

void Steal::down_cpu(u32 cpu) {
    const IrqsOff irqs_off;
    steal_clock::end(state_of(cpu));
    if (owned()) owned_slots_.put_back(cpu);
}

void Steal::suspend(u32 cpu) {
    if (!enabled_) return;
    steal_clock::end(state_of(cpu));
    if (owned()) owned_slots_.suspend(cpu);
}

// The kernel's own records have been registered again by now: its callbacks for suspend were
// registered before ours, so they resume before ours.
void Steal::resume(u32 cpu) {
    if (!enabled_) return;
    if (owned() && !owned_slots_.resume(cpu).ok()) return;
    begin_cpu(cpu);
}

void Steal::restart() {
    if (!enabled_ || !owned()) return;
    on_each_cpu([this](u32 cpu) {
        steal_clock::end(state_of(cpu));
        owned_slots_.disarm();
    });
}

// ---- Events and reset ---------------------------------------------------------------------------

void Steal::sample(u32 cpu) {
    if (!enabled_) return;
    CpuState& state = state_of(cpu);
    if (!hooked()) steal_clock::look(state);
    const auto tell = [&](const StealClock::Steps& steps, u64& reported, EventKind kind) {
        if (steps.count == reported) return;
        reported = steps.count;
        events.add({linux_monotonic_ns(), event_value(steps.last_ns), {}, {}, cpu, kind, false});
    };
    tell(state.clock.backward, state.reported_backward, EventKind::kStealBackward);
    tell(state.clock.forward, state.reported_forward, EventKind::kStealForward);
}

Result<void> Steal::reset() {
    const MutexLock lock(KVMPV_MUTEX_STEAL);
    if (!enabled_) return Error(-kEinval);
    forget_all();
    return {};
}

void Steal::forget_all() {
    const CpusLock lock;
    reset_time_ns_ = linux_monotonic_ns();
    on_or_for_each_cpu([](u32 cpu) { forget(state_of(cpu)); });
}

// ---- What is shown ------------------------------------------------------------------------------

Steal::State Steal::state() const {
    State now{};
    now.enabled = enabled_;
    now.hooked = hooked();
    now.was_hooked = was_hooked_;
    now.on_top = hook_.on_top();
    linux_symbol_name(linux_static_call_target(KVMPV_CALL_PV_STEAL_CLOCK), now.target,
                      sizeof(now.target));
    now.accounting = linux_steal_accounting_is_on(false);
    now.run_queues = linux_steal_accounting_is_on(true);
    now.attribution = steal_tasks::is_on();
    now.reset_time_ns = reset_time_ns_;
    return now;
}

// The look has to run on the CPU itself. For that the host gives the vCPU its CPU back, and clears
// the byte. So all bytes are read before the first look.
void Steal::read_preempted() {
    for (const u32 cpu : online_cpus()) {
        CpuState& state = state_of(cpu);
        if (const KvmStealTime* record = x86::load(state.clock.record))
            __atomic_store_n(&state.preempted_at_look, x86::load(record->preempted),
                             __ATOMIC_RELAXED);
    }
}

// The CPU's tick accounts, and not while this runs.
void Steal::look_at(u32 cpu, OfCpu& of) {
    on_cpu(cpu, [&](u32) {
        of.accounted_ns = linux_accounted_steal_ns(cpu);
        steal_clock::look(state_of(cpu));
        of.state = state_of(cpu);
    });
}

}  // namespace kvmpv
