// SPDX-License-Identifier: GPL-2.0-only
//
// The tick's part in noticing what the host has done to the clock: one compare of the record's
// version. If it has changed, a look is asked for; all else is the look's.

#pragma once

#include "kvmpv/pvclock.hh"
#include "x86.hh"

namespace kvmpv::early_look {

// This CPU's record has a version that was not seen. Interrupts off, possibly with a run queue
// locked.
[[gnu::always_inline]] inline bool is_due() {
    const auto& record =
        *static_cast<const PvclockVcpuTimeInfo*>(x86::this_cpu_load<&kvmpv_cpu.clock_record>());
    return !x86::this_cpu_equals<&kvmpv_cpu.clock_watch.seen_version>(x86::load(record.version));
}

// Asks for a look, unless it is too soon or nobody looks at this CPU. After is_due(), in the same
// context. `now_ns` is any clock of this CPU.
void ask(u64 now_ns);

// From now on, and no more, looks are made when asked for. On `cpu`. stop() returns when none is
// under way.
void start(u32 cpu);
void stop(u32 cpu);

// What the record says now is about to be looked at. On that CPU, interrupts off.
inline void note_look(struct kvmpv_cpu& own) {
    const auto& record = *static_cast<const PvclockVcpuTimeInfo*>(own.clock_record);
    own.clock_watch.seen_version = x86::load(record.version);
}

}  // namespace kvmpv::early_look
