// SPDX-License-Identifier: GPL-2.0-only
//
// Each CPU's steal clock, and all code that looks at the host's record. All of it is in one object
// file, so that no look runs a copy of the code that could be traced.

#pragma once

#include "kvmpv/boundary.h"
#include "kvmpv/steal_handover.hh"
#include "steal/tasks.hh"

namespace kvmpv::steal_clock {

// The longest burst: when it was noted, and which task was running.
struct Longest {
    u64 time_ns;  // CLOCK_MONOTONIC
    kvmpv_task task;
};

// What steal_here points to. Only that CPU writes it, with interrupts off, or another one while
// that CPU is offline. The exceptions are preempted_at_look and the clock's shown_ns.
struct CpuState {
    StealClock clock;
    StealShape shape;
    Longest longest;
    u64 reset_total_ns;  // what the clock showed at the last reset
    // The tables to which stolen time is charged. Null: it is not charged.
    steal_tasks::Charges* charges;
    // How many steps have been reported as events.
    u64 reported_backward;
    u64 reported_forward;
    u8 preempted_at_look;  // the record's byte, read before anything woke the CPU
};
static_assert(std::is_trivially_copyable_v<CpuState>);

// No two CPUs write to one cache line.
inline constexpr u32 kStateStride = (sizeof(CpuState) + 63) / 64 * 64;

inline CpuState& state_of(u32 cpu) { return *static_cast<CpuState*>(linux_cpu(cpu)->steal_here); }

struct Setup {
    TicksToNs ticks_to_ns;
    u64 tick_ns;
    // There is a look at every tick, so that what it finds is a burst and not the sum of a second.
    bool looks_are_ticks;
    // In shared mode, while the kernel's callers are changed from one clock to the other.
    bool handover_in_progress;
};
extern constinit Setup setup;

// See steal_handover.hh. On the CPU that `state` belongs to, with interrupts off, or on any CPU
// while that one is offline. heal() returns false if the record does not say afterwards what was
// written to it.
void prepare_hook(CpuState& state, bool native_shown);
void leave_hook(CpuState& state);
void begin(CpuState& state, const KvmStealTime* record, bool native_is_asked);
void end(CpuState& state);
[[nodiscard]] bool heal(CpuState& state, KvmStealTime& record);

// Looks at the record now. On the CPU that `state` belongs to, with interrupts off.
void look(CpuState& state);

}  // namespace kvmpv::steal_clock
