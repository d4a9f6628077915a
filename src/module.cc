// SPDX-License-Identifier: GPL-2.0-only
//
// What happens at load and unload, in order, and which values the parameters may have.

#include "clock/clock.hh"
#include "features.hh"
#include "boundary.h"
#include "kvmpv/text.hh"
#include "slot/slots.hh"

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
        {"vdso", given.switches[KVMPV_CLOCK_VDSO], -1, 1, "-1, 0 or 1"},
        {"legacy", given.legacy, 0, 1, "0 or 1"},
        at_start("clock_release", KVMPV_CLOCK_RELEASE),
        at_start("clock_force_unstable", KVMPV_CLOCK_FORCE_UNSTABLE),
        at_start("steal_hook", KVMPV_STEAL_HOOK),
        at_start("steal_attribution", KVMPV_STEAL_ATTRIBUTION),
        at_start("eoi_hook", KVMPV_EOI_HOOK),
        {"halt_poll", given.switches[KVMPV_HALT_POLLING], -1, 1, "-1, 0 or 1"},
        at_start("halt_poll_accounting", KVMPV_HALT_POLL_ACCOUNTING),
        at_start("async_pf_accounting", KVMPV_ASYNC_PF_ACCOUNTING),
        at_start("sampler", KVMPV_SAMPLING),
        at_start("ipi_count", KVMPV_IPI_COUNT),
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

// No error: the module works without debugfs, but nothing of it can be seen.
void log_unseen(Error error) {
    LineBuffer<280> line;
    Writer<LineSink<280>> out(LineSink<280>{&line});
    out << "no files in debugfs (error " << Signed{error.negative_errno()}
        << "): status, cpus, events, clock/, steal/, eoi/, halt_poll/, async_pf/ and "
           "migration/ cannot be seen; the switches are in /sys/module/kvmpv/parameters, steal "
           "time "
           "is also in the trace events";
    linux_log_warn(line.text());
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
    if (const Result<void> started = start_features(parameters); !started.ok()) return started;
    // Last, so that a reader of debugfs finds everything in place.
    const Result<void> files = create_files();
    log_loaded(files.ok());
    if (!files.ok()) log_unseen(files.error());
    return {};
}

}  // namespace
}  // namespace kvmpv

extern "C" int kvmpv_start(const kvmpv_parameters* parameters) {
    return kvmpv::start(*parameters).zero_or_negative_errno();
}

extern "C" void kvmpv_stop() {
    kvmpv::stop_features();
    linux_log_info("unloaded");
}
