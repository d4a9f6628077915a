// SPDX-License-Identifier: GPL-2.0-only
//
// Each CPU's steal clock, and all that looks at the host's record: one object, so that no look goes
// through a copy of the code that could be traced.

#pragma once

#include "kvmpv/boundary.h"
#include "kvmpv/steal_handover.hh"
#include "steal/tasks.hh"

namespace kvmpv::steal_clock {

// The longest burst: when it was noted, and which task ran then.
struct Longest {
    u64 time_ns;  // CLOCK_MONOTONIC
    kvmpv_task task;
};

// What steal_here names. Written, but for preempted_at_look and the clock's shown_ns, on that
// CPU with interrupts off or while it is not there.
struct CpuState {
    StealClock clock;
    StealShape shape;
    Longest longest;
    u64 reset_total_ns;  // what the clock showed at the last reset
    // Where what is stolen is charged to tasks; null: nowhere.
    steal_tasks::Charges* charges;
    // How many steps the events know of.
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
    // Looks come with every tick, so that what is found is a burst and no sum of a second's.
    bool looks_are_ticks;
    // In shared mode, while the kernel's calls are changed from one clock to the other.
    bool handover_in_progress;
};
extern constinit Setup setup;

// As in steal_handover.hh; on the CPU that `state` is of, with interrupts off, or on any while that
// one is offline.
void prepare_hook(CpuState& state, bool native_shown);
void leave_hook(CpuState& state);
void begin(CpuState& state, const KvmStealTime* record, bool native_is_asked);
void end(CpuState& state);
[[nodiscard]] bool heal(CpuState& state, KvmStealTime& record);

// On the CPU that `state` is of, with interrupts off.
void look(CpuState& state);

}  // namespace kvmpv::steal_clock
