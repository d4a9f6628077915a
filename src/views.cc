// SPDX-License-Identifier: GPL-2.0-only
//
// What each file below /sys/kernel/debug/kvmpv says. The format is described in docs/debugfs.md:
// `version 1`, then tables with a header row; field names are stable.

#include "views.hh"

#include "clock.hh"
#include "cpus.hh"
#include "eoi.hh"
#include "kvmpv/boundary.h"
#include "slots.hh"
#include "view.hh"

namespace kvmpv {
namespace {

// ---- status ----------------------------------------------------------------------------------

void write_of_cpus(Out& out, u32 count, const SlotSurvey& survey) {
    out << count << " of " << survey.cpus << " CPUs";
}

// Why, in words, with the numbers that support it.
void write_reason(Out& out, Reason reason, const SlotSurvey& survey, const char* feature) {
    switch (reason) {
        case Reason::kNotOffered: out << "CPUID does not offer " << feature; return;
        case Reason::kParameter: out << "disabled by a module parameter"; return;
        case Reason::kUnreadable:
            out << "the MSR could not be read on CPU " << survey.unreadable_cpu << ": error "
                << Signed{survey.unreadable_errno};
            return;
        case Reason::kUseUnknown:
            out << "enabled on ";
            write_of_cpus(out, survey.unknown, survey);
            out << ", but it cannot be told whether by the kernel";
            return;
        case Reason::kKernelSomeCpus:
            out << "the kernel uses it on only ";
            write_of_cpus(out, survey.kernel, survey);
            return;
        case Reason::kKernelAllCpus:
            out << "the kernel uses it on ";
            write_of_cpus(out, survey.kernel, survey);
            return;
        case Reason::kFree:
            out << "the kernel does not use it: free on ";
            write_of_cpus(out, survey.free, survey);
            return;
        case Reason::kForeign:
            out << "the kernel does not use it: foreign on ";
            write_of_cpus(out, survey.foreign, survey);
            out << " (CPU " << survey.foreign_cpu << " holds " << Hex{survey.foreign_value} << ")";
            return;
        case Reason::kNeverTaken: out << "shown in cpus only; never taken over"; return;
        case Reason::kStepFailed: out << "a step failed; see the kernel log"; return;
    }
}

template <class Registration>
void write_feature(Out& out, const char* name, const Registration& registration,
                   const char* cpuid_name, bool in_use, void (*write_note)(Out&) = nullptr) {
    const Decision& decision = registration.decision();
    // What is not hooked takes no slot, whatever it could do.
    const bool shown_only = !in_use && decision.mode != Mode::kOff;
    const Mode mode = shown_only && decision.mode == Mode::kOwned ? Mode::kOff : decision.mode;
    out << name;
    out.pad_to(10) << mode_name(mode);
    out.pad_to(18);
    write_reason(out, decision.reason, registration.survey(), cpuid_name);
    if (shown_only) out << "; shown only, not hooked";
    if (write_note && !shown_only) write_note(out);
    out.end_line();
}

void write_eoi_headline(Out& out) {
    if (!eoi.hooked()) return;
    u64 elided = 0, total = 0;
    for (const u32 cpu : possible_cpus()) {
        const EoiCounts counts = eoi.counts(cpu);
        elided += counts.elided;
        total += counts.total();
    }
    out << "; hooked, " << elided << " of " << total << " interrupts ended without an exit";
}

const char* vdso_text(Vdso vdso) {
    switch (vdso) {
        case Vdso::kOn: return "user space reads the clock without a system call";
        case Vdso::kParameter: return "by system call: disabled by the parameter vdso";
        case Vdso::kOwnedMode:
            return "by system call: in owned mode only with the parameter vdso=1";
        case Vdso::kNotStable: return "by system call: the host does not promise a stable clock";
        case Vdso::kNoPage:
            return clock.owned() ? "by system call: kernel symbol pvti_cpu0_va not found"
                                 : "by system call: the kernel has no page to map for user space";
        case Vdso::kKernelsPage:
            return "by system call: the page for user space is the kernel's own";
        case Vdso::kNoMappingBit: return "by system call: kernel symbol vclocks_used not found";
        case Vdso::kGuardOn:
            return "by system call: the guard is on, of which user space knows none";
    }
    return "";
}

// The kernel's watchdog declares a clock unstable, for good, that goes otherwise than it does.
void write_watchdog(Out& out) {
    bool judges = false;
    const int is_watchdog = linux_clocksource_is_watchdog(&judges);
    if (is_watchdog < 0)
        out << "watchdog: unknown, kernel symbols watchdog and watchdog_list not found";
    else if (!is_watchdog)
        out << "watchdog: another clocksource";
    else if (clock.kept())
        out << "watchdog: kvmpv, and the kernel accepts no other clock for that: rmmod answers "
               "EBUSY until it has one";
    else if (judges)
        out << "watchdog: kvmpv is the clock by which the kernel judges the TSC";
    else
        out << "watchdog: kvmpv, with nothing to judge";
    out.end_line();
}

void write_clocksource(Out& out) {
    static constexpr Column kColumns[] = {{"clocksource", 11}, {"rating", 6}, {"current", 7},
                                          {"released", 8},     {"path", 7},   {"tsc_read", 8}};
    if (!clock.enabled()) return;
    out.end_line();
    if (clock.unbound()) {
        (out << "The clocksource kvmpv was unbound by unbind_clocksource: the kernel does not know "
                "it any more. The next load registers it again.")
            .end_line();
        return;
    }
    Table table(out, kColumns);
    table.cell("kvmpv")
        .cell(Signed{clock.rating()})
        .cell(yes_no(clock.current()))
        .cell(yes_no(clock.released()))
        .cell(clock.guarded() ? "guarded" : "stable")
        .cell(clock.tsc_read());
    (out << "vdso: " << vdso_text(clock.vdso())).end_line();
    if (clock.page_is_kept())
        (out << "The page that user space reads is never freed; the next load uses it again.")
            .end_line();
    write_watchdog(out);
    if (clock.owned() && slots.clock.msr() == Msr::KVM_SYSTEM_TIME)
        (out << "The deprecated MSR 0x12 is in use, which switches the host's masterclock off: no "
                "stable clock.")
            .end_line();
    if (!clock.current()) return;
    // What there is besides us where the kernel has no kvmclock differs from guest to guest.
    const bool shared = !clock.owned();
    (out << "While kvmpv is the current clocksource, rmmod answers EBUSY. To release it:")
        .end_line();
    (out << "  echo 1 > /sys/module/kvmpv/parameters/clock_release").end_line();
    (out << "or, where current_clocksource was set to kvmpv by hand, write another name to it"
         << (shared ? ":" : ", one of those in available_clocksource:"))
        .end_line();
    (out << "  echo " << (shared ? "kvm-clock" : "NAME")
         << " > /sys/devices/system/clocksource/clocksource0/current_clocksource")
        .end_line();
    (out << "Where available_clocksource has no other name the kernel cannot do without kvmpv.")
        .end_line();
}

void show_status(void* seq) {
    Out out = begin_view(seq);
    (out << "kvmpv " << KVMPV_VERSION << ", KVM at CPUID leaf " << Hex{slots.kvm.base}
         << ", features " << Hex{slots.kvm.features} << ", hints " << Hex{slots.kvm.hints})
        .end_line();
    out.end_line();
    (out << "feature   mode    reason").end_line();
    write_feature(out, "clock", slots.clock, "KVM_FEATURE_CLOCKSOURCE", true);
    write_feature(out, "steal", slots.steal, "KVM_FEATURE_STEAL_TIME", true, write_steal_note);
    write_feature(out, "eoi", slots.eoi, "KVM_FEATURE_PV_EOI", eoi.hooked(), write_eoi_headline);
    out << "async_pf  off     ";
    write_reason(out, Reason::kNeverTaken, {}, "");
    out.end_line();
    write_clocksource(out);
}

// ---- features --------------------------------------------------------------------------------

template <class Name, u32 kNumNames, class Row>
void write_bits(const Name (&names)[kNumNames], u32 offered, u32 named, Row&& row) {
    for (const Name& name : names)
        row(static_cast<u32>(name.bit), name.name, (offered >> static_cast<u32>(name.bit)) & 1);
    // What a newer host offers beyond our names is shown rather than hidden.
    for (u32 bit = 0; bit < 32; ++bit)
        if ((offered & ~named) >> bit & 1) row(bit, "unnamed", true);
}

void show_features(void* seq) {
    static constexpr Column kColumns[] = {
        {"register", 8}, {"bit", 3}, {"offered", 7}, {"name", 34}};
    Out out = begin_view(seq);
    Table table(out, kColumns);
    const auto row = [&](const char* reg) {
        return [&table, reg](u32 bit, const char* name, bool offered) {
            table.cell(reg).cell(bit).cell(yes_no(offered)).cell(name);
        };
    };
    write_bits(kFeatureNames, slots.kvm.features, named_feature_bits(), row("eax"));
    write_bits(kHintNames, slots.kvm.hints, named_hint_bits(), row("edx"));
}

}  // namespace
}  // namespace kvmpv

extern "C" constinit const kvmpv_file kvmpv_files[] = {
    {"", "status", kvmpv::show_status, nullptr},
    {"", "features", kvmpv::show_features, nullptr},
    {"", "cpus", kvmpv::show_cpus, nullptr},
    {"", "events", kvmpv::show_events, nullptr},
    {"clock", "state", kvmpv::show_clock_state, nullptr},
    {"clock", "wall_clock", kvmpv::show_wall_clock, nullptr},
    {"clock", "drift", kvmpv::show_clock_drift, nullptr},
    {"clock", "release", kvmpv::show_clock_release, kvmpv::store_clock_release},
    {"clock", "force_unstable", kvmpv::show_clock_force_unstable,
     kvmpv::store_clock_force_unstable},
    {"steal", "state", kvmpv::show_steal_state, nullptr},
    {"steal", "cpus", kvmpv::show_steal_cpus, nullptr},
    {"steal", "histogram", kvmpv::show_steal_histogram, nullptr},
    {"steal", "hook", kvmpv::show_steal_hook, kvmpv::store_steal_hook},
    {"steal", "attribution", kvmpv::show_steal_attribution, kvmpv::store_steal_attribution},
    {"steal", "tasks", kvmpv::show_steal_tasks, nullptr},
    {"steal", "cgroups", kvmpv::show_steal_cgroups, nullptr},
    {"steal", "reset", kvmpv::show_steal_reset, kvmpv::store_steal_reset},
    {"eoi", "state", kvmpv::show_eoi_state, nullptr},
    {"eoi", "cpus", kvmpv::show_eoi_cpus, nullptr},
    {"eoi", "hook", kvmpv::show_eoi_hook, kvmpv::store_eoi_hook},
    {nullptr, nullptr, nullptr, nullptr},
};
