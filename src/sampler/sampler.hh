// SPDX-License-Identifier: GPL-2.0-only
//
// Looks at the clock of every CPU, from that CPU, and makes an event of what has changed: once a
// second, earlier if a tick has found that the record has changed, and whenever a program reads or
// polls the events there. What comes and goes between two looks is seen only in the counters of the
// read path.

#pragma once

#include "boundary.h"
#include "kvmpv/result.hh"

namespace kvmpv::sampler {

// start() comes after all features that the sampler looks at, and stop() before they stop. When
// stop() returns, no look is under way and none will come. What looks have left to be done is then
// done, or dropped.
Result<void> start(const kvmpv_parameters& parameters);
void stop();

// The switch. While it is off nobody looks: there are no events, nobody checks the host's promise,
// and CPU 0 is not woken.
Result<void> set_on(bool on);
bool is_on();

// A CPU has come online, or goes offline. Isolated CPUs are left alone. On that CPU. When
// down_cpu() returns neither a regular nor an early look is under way.
Result<void> online_cpu(u32 cpu);
void down_cpu(u32 cpu);

// After suspend or hibernation: what was seen before is no longer valid. On the only CPU that is
// online, interrupts off.
void resume(u32 cpu);

}  // namespace kvmpv::sampler
