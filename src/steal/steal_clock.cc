// SPDX-License-Identifier: GPL-2.0-only
//
// How the kernel's scheduler asks us for steal time: the target of the static call pv_steal_clock.
// It is called with interrupts off, often with a run queue locked, which may be another CPU's. So
// nothing here may sleep or take a lock. The whole file is compiled without ftrace (Kbuild). The
// functions of other files that it calls when time was stolen, when a clock starts, when another
// CPU's clock is asked, or when the clock record has changed may be traced, as the scheduler itself
// may.

#include "steal/steal_clock.hh"

#include "clock/early_look.hh"
#include "x86.hh"

namespace kvmpv::steal_clock {

constinit Setup setup{};

namespace {

void note_longest(CpuState& state) {
    state.longest.time_ns = linux_monotonic_ns();
    linux_current_task(&state.longest.task);
}

CpuState& state_of(StealClock& own) {
    static_assert(offsetof(CpuState, clock) == 0);
    return reinterpret_cast<CpuState&>(own);
}

// The guest that we run in. One object for all callers: with one on its stack, a function would get
// a stack protector.
struct LiveMachine {
    template <class T>
    [[gnu::always_inline]] static T load(const T& shared) {
        return x86::load(shared);
    }
    [[gnu::always_inline]] static void barrier() { x86::barrier(); }
    static void store(u64& shared, u64 value) {
        __atomic_store_n(&shared, value, __ATOMIC_RELAXED);
    }
    [[gnu::always_inline]] static bool compare_exchange(u64& shared, u64& expected, u64 desired) {
        return __atomic_compare_exchange_n(&shared, &expected, desired, false, __ATOMIC_RELAXED,
                                           __ATOMIC_RELAXED);
    }
    static void add(u64& shared, u64 value) { x86::add(shared, value); }
    // No order is needed: if the TSC is read early, the time between it and the look only seems
    // longer.
    [[gnu::always_inline]] static u64 tsc() { return x86::rdtsc(); }
    static u64 elapsed_ns(u64 tsc_ticks) { return setup.ticks_to_ns(tsc_ticks); }
    static u64 tick_ns() { return setup.tick_ns; }
    static u64 uptime_ns() { return linux_monotonic_ns(); }
    static u64 accounted_ns(const StealClock& own) { return linux_accounted_steal_ns(own.cpu); }
    static bool handover_in_progress() { return setup.handover_in_progress; }

    static void stepped(StealClock& own, bool forward, u64 ns) {
        linux_trace_steal_step(own.cpu, forward, ns, own.total_ns);
    }

    // The base moves along, so that the parts since the reset still add up to the whole.
    static void rebased(StealClock& own, u64 ns) { state_of(own).reset_total_ns += ns; }

    static void stolen(StealClock& own, u64 ns) {
        CpuState& state = state_of(own);
        linux_trace_steal(own.cpu, ns, own.total_ns);
        if (setup.looks_are_ticks && state.shape.add(ns)) note_longest(state);
        if (state.charges) [[unlikely]]
            steal_tasks::charge(*state.charges, ns);
    }
};
constinit LiveMachine machine;

// The clock record has changed. A function of its own, so that other ticks save no register for it.
[[gnu::noinline]] u64 ask_and_look_early(CpuState& own) {
    early_look::ask(setup.ticks_to_ns(x86::rdtsc()));
    return ask_steal(machine, own.clock);
}

}  // namespace

void prepare_hook(CpuState& state, bool native_shown) {
    prepare_steal_hook(machine, state.clock, native_shown);
}

void leave_hook(CpuState& state) { leave_steal_hook(state.clock); }

void begin(CpuState& state, const KvmStealTime* record, bool native_is_asked) {
    begin_steal(machine, state.clock, record, native_is_asked);
}

void end(CpuState& state) { end_steal(machine, state.clock); }

bool heal(CpuState& state, KvmStealTime& record) {
    return heal_steal(machine, state.clock, record);
}

void look(CpuState& state) { static_cast<void>(ask_steal(machine, state.clock)); }

}  // namespace kvmpv::steal_clock

extern "C" void kvmpv_task_switch() {
    using namespace kvmpv::steal_clock;
    auto& own = *static_cast<CpuState*>(kvmpv::x86::this_cpu_load<&kvmpv_cpu.steal_here>());
    glance_at_steal(machine, own.clock);
}

extern "C" u64 kvmpv_steal_clock(int cpu) {
    using namespace kvmpv::steal_clock;
    auto& own = *static_cast<CpuState*>(kvmpv::x86::this_cpu_load<&kvmpv_cpu.steal_here>());
    if (own.clock.cpu == static_cast<u32>(cpu)) [[likely]] {
        if (kvmpv::early_look::is_due()) [[unlikely]]
            return ask_and_look_early(own);
        return ask_steal(machine, own.clock);
    }
    return ask_steal_from_afar(machine, state_of(static_cast<u32>(cpu)).clock);
}
