// SPDX-License-Identifier: GPL-2.0-only

#include "lifecycle.hh"

#include "clock.hh"
#include "eoi.hh"
#include "kvmpv/boundary.h"
#include "other_clocks.hh"
#include "sampler.hh"
#include "steal.hh"

namespace kvmpv::lifecycle {

Result<void> enable() {
    const Result<void> done = Result<void>::from_errno(linux_restart_notify_enable());
    if (done.ok()) linux_suspend_notify_enable();
    return done;
}

void disable() {
    linux_suspend_notify_disable();
    linux_restart_notify_disable();
}

}  // namespace kvmpv::lifecycle

using kvmpv::clock;
using kvmpv::eoi;
using kvmpv::steal;
namespace sampler = kvmpv::sampler;

extern "C" int kvmpv_cpu_prepare(u32 follower, u32 cpu) {
    if (follower == KVMPV_CLOCK) clock.prepare_cpu(cpu);
    return 0;
}

extern "C" int kvmpv_cpu_online(u32 follower, u32 cpu) {
    switch (follower) {
        case KVMPV_CLOCK: return clock.online_cpu(cpu).zero_or_negative_errno();
        case KVMPV_STEAL: return steal.online_cpu(cpu).zero_or_negative_errno();
        case KVMPV_EOI: return eoi.online_cpu(cpu).zero_or_negative_errno();
        case KVMPV_SAMPLER: sampler::start(cpu); return 0;
        default: return 0;
    }
}

extern "C" void kvmpv_cpu_down(u32 follower, u32 cpu) {
    switch (follower) {
        case KVMPV_CLOCK: clock.down_cpu(cpu); return;
        case KVMPV_STEAL: steal.down_cpu(cpu); return;
        case KVMPV_EOI: eoi.down_cpu(cpu); return;
        case KVMPV_SAMPLER: sampler::stop(cpu); return;
        default: return;
    }
}

extern "C" void kvmpv_cpu_dead(u32 follower, u32 cpu) {
    if (follower == KVMPV_CLOCK) clock.dead_cpu(cpu);
}

extern "C" void kvmpv_clock_suspend(u32 cpu) { clock.suspend(cpu); }

// What the samples of before say of the clock is over as soon as it is.
extern "C" void kvmpv_clock_resume(u32 cpu) {
    clock.resume(cpu);
    sampler::resumed();
    kvmpv::other_clocks.forget();
}

// Timekeeping tells only the clocksources that it knows.
extern "C" void kvmpv_suspend(u32 cpu) {
    eoi.suspend(cpu);
    steal.suspend(cpu);
    if (clock.unbound()) kvmpv_clock_suspend(cpu);
}

extern "C" void kvmpv_resume(u32 cpu) {
    if (clock.unbound()) kvmpv_clock_resume(cpu);
    steal.resume(cpu);
    eoi.resume(cpu);
}

// The clock last: the others may still read it.
extern "C" void kvmpv_restart() {
    eoi.restart();
    steal.restart();
    clock.restart();
}
