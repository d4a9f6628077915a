// SPDX-License-Identifier: GPL-2.0-only

#include "clock/early_look.hh"

#include "base/irqs.hh"
#include "kvmpv/early_look.hh"

namespace kvmpv::early_look {

namespace {

void switch_watch(u32 cpu, bool on) {
    const IrqsOff irqs_off;
    linux_cpu(cpu)->clock_watch.is_on = on;
}

}  // namespace

void ask(u64 now_ns) {
    struct kvmpv_cpu& own = *linux_cpu(linux_this_cpu());
    const u32 version = x86::load(clock_read::record_here()->version);
    if (calls_for_look(own.clock_watch, version, now_ns)) linux_early_look_ask();
}

void start(u32 cpu) {
    linux_early_look_start(cpu);
    switch_watch(cpu, true);
}

void stop(u32 cpu) {
    switch_watch(cpu, false);
    linux_early_look_stop(cpu);
}

}  // namespace kvmpv::early_look
