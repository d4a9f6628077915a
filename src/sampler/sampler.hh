// SPDX-License-Identifier: GPL-2.0-only
//
// Looks at the clock of every CPU, from that CPU, and makes an event of what has changed: once a
// second, earlier if a tick has found that the record has changed, and whenever somebody reads or
// polls the events there. What comes and goes between two looks is seen in the counters of the read
// path only.

#pragma once

#include "boundary.h"
#include "kvmpv/result.hh"

namespace kvmpv::sampler {

// After every feature that is looked at, and before it goes. stop() returns when no look is under
// way or to come, and what the looks left to do is done or dropped.
Result<void> start(const kvmpv_parameters& parameters);
void stop();

// The switch. Off, nobody looks: no events, no judge of the host's promise, no waking of CPU 0.
Result<void> set_on(bool on);
bool is_on();

// A CPU has come, or goes. Isolated ones are left alone. On that CPU; down_cpu() returns when no
// regular or early look is under way any more.
Result<void> online_cpu(u32 cpu);
void down_cpu(u32 cpu);

// After suspend or hibernation: what was seen before says nothing any more. On the only CPU up,
// interrupts off.
void resume(u32 cpu);

}  // namespace kvmpv::sampler
