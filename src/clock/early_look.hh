// SPDX-License-Identifier: GPL-2.0-only
//
// The tick's part in noticing what the host has done to the clock. It compares the record's
// version, and asks for a look if the version has changed. The look does the rest.

#pragma once

#include "clock/clock_read.hh"
#include "x86.hh"

namespace kvmpv::early_look {

// Whether this CPU's record has a version that was not seen yet. Interrupts off, possibly with a
// run queue locked.
[[gnu::always_inline]] inline bool is_due() {
    const u32 version = x86::load(clock_read::record_here()->version);
    return !x86::this_cpu_equals<&kvmpv_cpu.clock_watch.seen_version>(version);
}

// Asks for a look, unless it is too soon or looks were not started on this CPU. After is_due(), in
// the same context. `now_ns` is the time of any clock of this CPU.
void ask(u64 now_ns);

// Between start() and stop() a look is made when it is asked for. Both run on `cpu`. When stop()
// returns, no look is under way.
void start(u32 cpu);
void stop(u32 cpu);

// A look begins, so the version that the record has now counts as seen. On that CPU, interrupts
// off.
inline void note_look(struct kvmpv_cpu& own) {
    own.clock_watch.seen_version = x86::load(clock_read::record_here()->version);
}

}  // namespace kvmpv::early_look
