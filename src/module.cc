// SPDX-License-Identifier: GPL-2.0-only
//
// What happens when the module is loaded and unloaded, in order, and what the parameters mean.

#include "clock.hh"
#include "eoi.hh"
#include "kvmpv/boundary.h"
#include "kvmpv/text.hh"
#include "lifecycle.hh"
#include "log.hh"
#include "other_clocks.hh"
#include "sampler.hh"
#include "slots.hh"
#include "steal.hh"
#include "steal_tasks.hh"
#include "wall_clock.hh"

namespace kvmpv {
namespace {

struct Range {
    const char* name;
    int value;
    int lowest;
    int highest;
    const char* in_words;
};

Result<void> check(const kvmpv_parameters& given) {
    const auto at_start = [&](const char* name, kvmpv_switch which) {
        return Range{name, given.switches[which], 0, 1, "0 or 1"};
    };
    const Range ranges[] = {
        {"clock_rating", given.clock_rating, 0, kMaxClockRating, "1 to 499, or 0 for automatic"},
        {"clock", given.clock, 0, 1, "0 or 1"},
        {"vdso", given.vdso, -1, 1, "-1, 0 or 1"},
        {"legacy", given.legacy, 0, 1, "0 or 1"},
        at_start("clock_release", KVMPV_CLOCK_RELEASE),
        at_start("clock_force_unstable", KVMPV_CLOCK_FORCE_UNSTABLE),
        at_start("steal_hook", KVMPV_STEAL_HOOK),
        at_start("steal_attribution", KVMPV_STEAL_ATTRIBUTION),
        at_start("eoi_hook", KVMPV_EOI_HOOK),
    };
    for (const Range& range : ranges) {
        if (range.value >= range.lowest && range.value <= range.highest) continue;
        LineBuffer<100> line;
        Writer<LineSink<100>> out(LineSink<100>{&line});
        out << "parameter " << range.name << " is out of range: " << range.in_words;
        linux_log_err(line.text());
        return Error(-kEinval);
    }
    return {};
}

void log_loaded(bool has_files) {
    LineBuffer<200> line;
    Writer<LineSink<200>> out(LineSink<200>{&line});
    out << "version " << KVMPV_VERSION << " on KVM at CPUID leaf " << Hex{slots.kvm.base};
    if (clock.enabled())
        out << "; clocksource kvmpv registered, rating " << Signed{clock.rating()};
    else
        out << "; no clocksource";
    if (has_files) out << "; see /sys/kernel/debug/kvmpv/status";
    linux_log_info(line.text());
}

// The module works without debugfs, unseen.
void log_unseen(Error error) {
    LineBuffer<240> line;
    Writer<LineSink<240>> out(LineSink<240>{&line});
    out << "no files in debugfs (error " << Signed{error.negative_errno()}
        << "): status, cpus, events, clock/, steal/ and eoi/ cannot be seen; the switches are in "
           "/sys/module/kvmpv/parameters, steal is also told by trace events";
    linux_log_warn(line.text());
}

// A clock that cannot be started is no reason to refuse the rest: `status` and the log say why.
void start_clock(const kvmpv_parameters& parameters) {
    if (slots.clock.decision().mode == Mode::kOff) return;
    Result<void> started = clock.create(slots, parameters);
    if (started.ok()) started = clock.enable();
    if (started.ok()) {
        if (parameters.switches[KVMPV_CLOCK_FORCE_UNSTABLE])
            static_cast<void>(clock.force_unstable(true));
        other_clocks.create();
        other_clocks.enable();
        return;
    }
    clock.destroy();
    slots.clock.fail();
    log_error("the clocksource could not be registered", started.error());
}

// Likewise. Where the kernel's accounting cannot be made to ask us, there is nothing to own.
void start_steal(const kvmpv_parameters& parameters) {
    if (slots.steal.decision().mode == Mode::kOff) return;
    Result<void> started = steal.create(slots);
    if (started.ok()) started = steal.enable();
    if (started.ok() && parameters.switches[KVMPV_STEAL_HOOK]) started = steal.set_hooked(true);
    if (started.ok()) {
        if (!parameters.switches[KVMPV_STEAL_ATTRIBUTION]) return;
        if (const Result<void> on = steal_tasks::set_on(true); !on.ok())
            log_error("steal: attribution could not be switched on", on.error());
        return;
    }
    steal.disable();
    steal.destroy();
    slots.steal.fail();
    log_error("steal time could not be taken up", started.error());
}

// Likewise. With eoi_hook=0 everything is ready for eoi/hook and nothing is hooked.
void start_eoi(const kvmpv_parameters& parameters) {
    if (slots.eoi.decision().mode == Mode::kOff) return;
    Result<void> started = eoi.create(slots);
    if (started.ok() && parameters.switches[KVMPV_EOI_HOOK]) started = eoi.enable();
    if (started.ok()) return;
    eoi.destroy();
    slots.eoi.fail();
    log_error("PV EOI could not be hooked", started.error());
}

// Without it the features work, and only their disruptions go unseen.
void start_sampler() {
    if (!sampler::enable().ok())
        linux_log_err("the sampler could not be started; events will stay empty");
}

void stop_features() {
    sampler::disable();
    other_clocks.destroy();
    eoi.leave();
    eoi.destroy();
    steal.disable();
    steal.destroy();
    clock.disable();
    clock.destroy();
    lifecycle::disable();
}

Result<void> start(const kvmpv_parameters& parameters) {
    if (const Result<void> checked = check(parameters); !checked.ok()) return checked;
    if (const Result<void> taken = slots.take(parameters.clock == 1, parameters.legacy == 1);
        !taken.ok()) {
        linux_log_err(
            "this is no KVM guest: no CPUID leaf between 0x40000000 and 0x4000ff00 says "
            "KVMKVMKVM; nothing was changed");
        return taken;
    }
    if (const Result<void> told = lifecycle::enable(); !told.ok()) return told;
    start_clock(parameters);
    start_steal(parameters);
    start_eoi(parameters);
    start_sampler();
    if (const Result<void> created = wall_clock.create(slots.kvm_for_clock); !created.ok()) {
        if (created.error().negative_errno() != -kEnodev)
            linux_log_err("no memory for the wall clock's answer; clock/wall_clock will not work");
    }
    // Last: a reader of debugfs sees everything in place.
    const Result<void> files = Result<void>::from_errno(linux_debugfs_create());
    log_loaded(files.ok());
    if (!files.ok()) log_unseen(files.error());
    return {};
}

}  // namespace
}  // namespace kvmpv

extern "C" int kvmpv_start(const kvmpv_parameters* parameters) {
    return kvmpv::start(*parameters).zero_or_negative_errno();
}

// The reverse of start(): first nobody looks any more, then nothing is left to look at.
extern "C" void kvmpv_stop() {
    linux_debugfs_remove();
    kvmpv::wall_clock.destroy();
    kvmpv::stop_features();
    linux_log_info("unloaded");
}
