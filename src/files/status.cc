// SPDX-License-Identifier: GPL-2.0-only
//
// `status` and `features`. The format of all files is described in docs/debugfs.md: `version 1`,
// then tables with a header row; field names are stable.

#include "files/views.hh"

#include "base/feature.hh"
#include "base/view.hh"
#include "boundary.h"
#include "x86.hh"
#include "slot/slots.hh"

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
            out << ", but it is not known whether by the kernel";
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
        case Reason::kNeverTaken: out << "the kernel does not use it, and nobody else can"; return;
        case Reason::kOnRequest: out << "set when asked, put back at unload"; return;
        case Reason::kDriver: out << "the cpuidle driver haltpoll sets it"; return;
        case Reason::kStepFailed: out << "a step failed; see the kernel log"; return;
    }
}

void write_row(Out& out, const FeatureRow& feature) {
    const Decision& decision = feature.slots->decision();
    const bool in_use = !feature.is_in_use || feature.is_in_use();
    const bool shown_only = !in_use && decision.mode != Mode::kOff;
    const Mode mode = shown_only && decision.mode == Mode::kOwned ? Mode::kOff : decision.mode;
    out << feature.name;
    out.pad_to(10) << mode_name(mode);
    out.pad_to(18);
    write_reason(out, decision.reason, feature.slots->survey(), feature.cpuid_name);
    if (shown_only) out << "; shown only, not hooked";
    if (feature.write_note && !shown_only) feature.write_note(out);
    out.end_line();
}

// A guest may have been moved to a host that offers something else.
KvmCpuid offered_now() { return find_kvm(x86::cpuid).value_or(slots.kvm); }

void show_status(void* seq) {
    Out out = begin_view(seq);
    const KvmCpuid kvm = offered_now();
    (out << "kvmpv " << KVMPV_VERSION << ", KVM at CPUID leaf " << Hex{kvm.base} << ", features "
         << Hex{kvm.features} << ", hints " << Hex{kvm.hints})
        .end_line();
    out.end_line();
    (out << "feature   mode    reason at load; what holds now").end_line();
    for (const FeatureRow& feature : features())
        if (feature.slots) write_row(out, feature);
    for (const FeatureRow& feature : features())
        if (feature.write_section) feature.write_section(out);
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
    const KvmCpuid kvm = offered_now();
    write_bits(kFeatureNames, kvm.features, named_feature_bits(), row("eax"));
    write_bits(kHintNames, kvm.hints, named_hint_bits(), row("edx"));
    out.end_line();
    write_hypercalls(out, kvm);
}

constexpr kvmpv_file kFiles[] = {
    {"", "status", show_status, nullptr},
    {"", "features", show_features, nullptr},
    {"", "cpus", show_cpus, nullptr},
};

}  // namespace

std::span<const kvmpv_file> common_files() { return kFiles; }

}  // namespace kvmpv
