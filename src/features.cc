// SPDX-License-Identifier: GPL-2.0-only

#include "features.hh"

#include "async_pf/async_pf.hh"
#include "async_pf/views.hh"
#include "base/followers.hh"
#include "base/log.hh"
#include "clock/clock.hh"
#include "clock/other_clocks.hh"
#include "clock/pairing.hh"
#include "clock/views.hh"
#include "clock/wall_clock.hh"
#include "eoi/eoi.hh"
#include "eoi/views.hh"
#include "events/views.hh"
#include "files/views.hh"
#include "ipi/ipi.hh"
#include "ipi/views.hh"
#include "halt_poll/halt_poll.hh"
#include "halt_poll/views.hh"
#include "migration/migration.hh"
#include "migration/views.hh"
#include "sampler/sampler.hh"
#include "sampler/views.hh"
#include "steal/steal.hh"
#include "steal/tasks.hh"
#include "steal/views.hh"

namespace kvmpv {

namespace {

// Wraps a member function of a global object as a plain function.
template <auto& kObject, auto kMember>
struct Bound;
template <auto& kObject, class Class, class Return, class... Arguments,
          Return (Class::*kMember)(Arguments...)>
struct Bound<kObject, kMember> {
    static Return call(Arguments... arguments) { return (kObject.*kMember)(arguments...); }
};
template <auto& kObject, class Class, class Return, class... Arguments,
          Return (Class::*kMember)(Arguments...) const>
struct Bound<kObject, kMember> {
    static Return call(Arguments... arguments) { return (kObject.*kMember)(arguments...); }
};

template <auto& kObject, auto kMember>
constexpr auto of = Bound<kObject, kMember>::call;

constexpr Switch kClockSwitches[] = {
    {KVMPV_CLOCK_RELEASE, of<clock, &Clock::release>, of<clock, &Clock::released>},
    {KVMPV_CLOCK_FORCE_UNSTABLE, of<clock, &Clock::force_unstable>, of<clock, &Clock::forced>},
    {KVMPV_CLOCK_VDSO, of<clock, &Clock::set_vdso>, of<clock, &Clock::vdso_is_wanted>},
};

constexpr Switch kStealSwitches[] = {
    {KVMPV_STEAL_HOOK, of<steal, &Steal::set_hooked>, of<steal, &Steal::hooked>},
    {KVMPV_STEAL_ATTRIBUTION, of<steal, &Steal::set_attribution>, steal_tasks::is_on},
};

constexpr Switch kEoiSwitches[] = {
    {KVMPV_EOI_HOOK, of<eoi, &Eoi::set_hooked>, of<eoi, &Eoi::hooked>},
};

constexpr Switch kIpiSwitches[] = {
    {KVMPV_IPI_COUNT, of<ipi_calls, &IpiCalls::count>, of<ipi_calls, &IpiCalls::counts>},
};

constexpr Switch kHaltPollSwitches[] = {
    {KVMPV_HALT_POLLING, of<halt_poll, &HaltPoll::set_allowed>,
     of<halt_poll, &HaltPoll::is_allowed>},
    {KVMPV_HALT_POLL_ACCOUNTING, of<halt_poll, &HaltPoll::set_accounting>, wakeup_accounts::is_on},
};

constexpr Switch kAsyncPfSwitches[] = {
    {KVMPV_ASYNC_PF_ACCOUNTING, of<async_pf, &AsyncPf::set_accounting>,
     of<async_pf, &AsyncPf::accounting>},
};

constexpr Switch kSamplerSwitches[] = {{KVMPV_SAMPLING, sampler::set_on, sampler::is_on}};

// The order from top to bottom is that of load, of a CPU that comes online, of resume, and of the
// rows of `status`. The order from bottom to top is that of unload, of a CPU that goes offline, of
// suspend, and of restart.
//   - The clock starts first and stops last, because the others read it.
//   - Steal time comes before EOI only because `status` has always shown them so.
//   - Halt polling and async page faults come after PV EOI only because none depends on another.
//   - Migration control comes after them for the same reason.
//   - The sampler comes after everything that it looks at.
//   - Last comes what only files of debugfs use.
constexpr FeatureRow kFeatures[] = {
    {
        .name = "clock",
        .start = of<clock, &Clock::start>,
        .stop = of<clock, &Clock::stop>,
        .failure = "the clocksource could not be registered",
        .follower = KVMPV_CLOCK,
        .prepare_cpu = of<clock, &Clock::prepare_cpu>,
        .online_cpu = of<clock, &Clock::online_cpu>,
        .down_cpu = of<clock, &Clock::down_cpu>,
        .dead_cpu = of<clock, &Clock::dead_cpu>,
        .clock_suspend = of<clock, &Clock::suspend>,
        .clock_resume = of<clock, &Clock::resume>,
        .restart = of<clock, &Clock::restart>,
        .slots = &slots.clock,
        .cpuid_name = "KVM_FEATURE_CLOCKSOURCE",
        .write_section = write_clock_section,
        .files = clock_files,
        .switches = kClockSwitches,
    },
    {
        .name = "steal",
        .start = of<steal, &Steal::start>,
        .stop = of<steal, &Steal::stop>,
        .failure = "steal time could not be started",
        .follower = KVMPV_STEAL,
        .online_cpu = of<steal, &Steal::online_cpu>,
        .down_cpu = of<steal, &Steal::down_cpu>,
        .suspend = of<steal, &Steal::suspend>,
        .resume = of<steal, &Steal::resume>,
        .restart = of<steal, &Steal::restart>,
        .slots = &slots.steal,
        .cpuid_name = "KVM_FEATURE_STEAL_TIME",
        .write_note = write_steal_note,
        .files = steal_files,
        .switches = kStealSwitches,
    },
    {
        .name = "eoi",
        .start = of<eoi, &Eoi::start>,
        .stop = of<eoi, &Eoi::stop>,
        .failure = "PV EOI could not be hooked",
        .follower = KVMPV_EOI,
        .online_cpu = of<eoi, &Eoi::online_cpu>,
        .down_cpu = of<eoi, &Eoi::down_cpu>,
        .suspend = of<eoi, &Eoi::suspend>,
        .resume = of<eoi, &Eoi::resume>,
        .restart = of<eoi, &Eoi::restart>,
        .slots = &slots.eoi,
        .cpuid_name = "KVM_FEATURE_PV_EOI",
        .is_in_use = of<eoi, &Eoi::hooked>,
        .write_note = write_eoi_note,
        .files = eoi_files,
        .switches = kEoiSwitches,
    },
    {
        .name = "halt_poll",
        .start = of<halt_poll, &HaltPoll::start>,
        .stop = of<halt_poll, &HaltPoll::stop>,
        .failure = "halt polling could not be started",
        .follower = KVMPV_HALT_POLL,
        .online_cpu = of<halt_poll, &HaltPoll::online_cpu>,
        .down_cpu = of<halt_poll, &HaltPoll::down_cpu>,
        .suspend = of<halt_poll, &HaltPoll::suspend>,
        .resume = of<halt_poll, &HaltPoll::resume>,
        .restart = of<halt_poll, &HaltPoll::restart>,
        .slots = &slots.poll_control,
        .cpuid_name = "KVM_FEATURE_POLL_CONTROL",
        .write_note = write_halt_poll_note,
        .files = halt_poll_files,
        .switches = kHaltPollSwitches,
    },
    {
        .name = "async_pf",
        .start = of<async_pf, &AsyncPf::start>,
        .stop = of<async_pf, &AsyncPf::stop>,
        .slots = &slots.async_pf,
        .cpuid_name = "KVM_FEATURE_ASYNC_PF_INT",
        .write_note = write_async_pf_note,
        .files = async_pf_files,
        .switches = kAsyncPfSwitches,
    },
    {
        .name = "migration",
        .start = of<migration, &Migration::start>,
        .stop = of<migration, &Migration::stop>,
        .failure = "migration control could not be started",
        .follower = KVMPV_MIGRATION,
        .online_cpu = of<migration, &Migration::online_cpu>,
        .dead_cpu = of<migration, &Migration::dead_cpu>,
        .resume = of<migration, &Migration::resume>,
        .restart = of<migration, &Migration::restart>,
        .slots = &slots.migration_control,
        .cpuid_name = "KVM_FEATURE_MIGRATION_CONTROL",
        .write_note = write_migration_note,
        .files = migration_files,
    },
    // Before the other clocks, one of which is the host's.
    {
        .name = "clock pairing",
        .start = of<pairing, &Pairing::start>,
        .stop = of<pairing, &Pairing::stop>,
        .failure = "no memory for the host's answer, clock/pairing will not work",
        .files = pairing_files,
    },
    {
        .name = "other clocks",
        .start = of<other_clocks, &OtherClocks::start>,
        .stop = of<other_clocks, &OtherClocks::stop>,
        .clock_resume = of<other_clocks, &OtherClocks::resume>,
        .files = other_clocks_files,
    },
    {
        .name = "sampler",
        .start = sampler::start,
        .stop = sampler::stop,
        .failure = "the sampler could not be started, events will stay empty",
        .follower = KVMPV_SAMPLER,
        .online_cpu = sampler::online_cpu,
        .down_cpu = sampler::down_cpu,
        .clock_resume = sampler::resume,
        .write_section = write_sampler_section,
        .files = events_files,
        .switches = kSamplerSwitches,
    },
    {
        .name = "wall clock",
        .start = of<wall_clock, &WallClock::start>,
        .stop = of<wall_clock, &WallClock::stop>,
        .failure = "no memory for the wall clock's answer, clock/wall_clock will not work",
        .files = wall_clock_files,
    },
    {
        .name = "calls to several CPUs",
        .start = of<ipi_calls, &IpiCalls::start>,
        .stop = of<ipi_calls, &IpiCalls::stop>,
        .failure = "calls to several CPUs at once could not be counted",
        .files = ipi_files,
        .switches = kIpiSwitches,
    },
    {.name = "all together", .files = common_files},
};

constexpr u32 kNumFeatures = sizeof(kFeatures) / sizeof(kFeatures[0]);

// Calls step `kStep` of every feature that has it, from the first feature to the last, or in
// reverse.
template <auto kStep, class... Arguments>
void in_order(Arguments... arguments) {
    for (const FeatureRow& feature : kFeatures)
        if (feature.*kStep) (feature.*kStep)(arguments...);
}
template <auto kStep, class... Arguments>
void in_reverse(Arguments... arguments) {
    for (u32 left = kNumFeatures; left-- > 0;)
        if (kFeatures[left].*kStep) (kFeatures[left].*kStep)(arguments...);
}

void start(const FeatureRow& feature, const kvmpv_parameters& parameters) {
    if (!feature.start) return;
    if (feature.slots && feature.slots->decision().mode == Mode::kOff) return;
    const Result<void> started = feature.start(parameters);
    if (started.ok()) return;
    feature.stop();
    if (feature.slots) feature.slots->fail();
    log_error(feature.failure, started.error());
}

const FeatureRow& following(u32 follower) {
    u32 at = 0;
    while (kFeatures[at].follower != follower) ++at;
    return kFeatures[at];
}

const Switch* switch_of(u32 which) {
    for (const FeatureRow& feature : kFeatures)
        for (const Switch& one : feature.switches)
            if (one.which == which) return &one;
    return nullptr;
}

}  // namespace

std::span<const FeatureRow> features() { return kFeatures; }

Result<void> start_features(const kvmpv_parameters& parameters) {
    const Result<void> told = Result<void>::from_errno(linux_restart_notify_enable());
    if (!told.ok()) return told;
    linux_suspend_notify_enable();
    for (const FeatureRow& feature : kFeatures) start(feature, parameters);
    return {};
}

// The files go first, so that nobody looks at what is being taken down.
void stop_features() {
    linux_debugfs_remove();
    in_reverse<&FeatureRow::stop>();
    linux_suspend_notify_disable();
    linux_restart_notify_disable();
}

Result<void> create_files() {
    const Result<void> created = Result<void>::from_errno(linux_debugfs_create());
    if (!created.ok()) return created;
    for (const FeatureRow& feature : kFeatures)
        if (feature.files)
            for (const kvmpv_file& file : feature.files()) linux_debugfs_add(&file);
    return created;
}

}  // namespace kvmpv

using namespace kvmpv;

extern "C" int kvmpv_cpu_prepare(u32 follower, u32 cpu) {
    if (following(follower).prepare_cpu) following(follower).prepare_cpu(cpu);
    return 0;
}

extern "C" int kvmpv_cpu_online(u32 follower, u32 cpu) {
    const Result<void> done = following(follower).online_cpu(cpu);
    return begins_to_follow(follower) ? done.zero_or_negative_errno() : 0;
}

extern "C" void kvmpv_cpu_down(u32 follower, u32 cpu) {
    if (following(follower).down_cpu) following(follower).down_cpu(cpu);
}

extern "C" void kvmpv_cpu_dead(u32 follower, u32 cpu) {
    if (following(follower).dead_cpu) following(follower).dead_cpu(cpu);
}

extern "C" void kvmpv_clock_suspend(u32 cpu) { in_reverse<&FeatureRow::clock_suspend>(cpu); }
extern "C" void kvmpv_clock_resume(u32 cpu) { in_order<&FeatureRow::clock_resume>(cpu); }

// Timekeeping suspends and resumes only the clocksources in its list, so an unbound one is called
// from here.
extern "C" void kvmpv_suspend(u32 cpu) {
    in_reverse<&FeatureRow::suspend>(cpu);
    if (clock.unbound()) kvmpv_clock_suspend(cpu);
}

extern "C" void kvmpv_resume(u32 cpu) {
    if (clock.unbound()) kvmpv_clock_resume(cpu);
    in_order<&FeatureRow::resume>(cpu);
}

extern "C" void kvmpv_restart() { in_reverse<&FeatureRow::restart>(); }

extern "C" int kvmpv_switch_set(u32 which, int value) {
    const Switch* const found = switch_of(which);
    if (!found || (value != 0 && value != 1)) return -kEinval;
    return found->set(value == 1).zero_or_negative_errno();
}

extern "C" bool kvmpv_switch_is_on(u32 which) {
    const Switch* const found = switch_of(which);
    return found && found->is_on();
}
