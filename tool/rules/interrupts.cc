// SPDX-License-Identifier: GPL-2.0-only
#include "rules/judges.hh"
#include "say/numbers.hh"

namespace kvmpv {
namespace {

// Below that the module does not judge, either.
constexpr std::int64_t kEnough = 100;

Finding not_hooked(const Feature& feature) {
    Finding finding;
    finding.severity = Severity::kNote;
    finding.number = feature.name + " " + feature.mode + ": " + feature.reason + " (status)";
    if (feature.mode == "off") {
        finding.title = "The end of an interrupt may cost an exit to the host";
        finding.meaning =
            "PV EOI is not in use. That costs nothing where the host's CPU ends interrupts by "
            "itself (APICv, AVIC), which a guest cannot see. QEMU offers PV EOI with -cpu "
            "host,+kvm-pv-eoi.";
        return finding;
    }
    finding.title = "kvmpv does not end interrupts";
    finding.meaning = "It was unhooked, so nothing is counted here.";
    finding.mend = "kvmpv set eoi/hook 1";
    return finding;
}

}  // namespace

Finding judge_eoi(const Look& look) {
    if (!look.now.status || !look.now.eoi_cpus) return unknown("eoi/cpus");
    const Feature* const feature = look.now.status->feature("eoi");
    if (feature == nullptr) return unknown("status");
    const bool is_hooked = look.now.eoi && look.now.eoi->yes("hooked");
    if (feature->mode == "off" || !is_hooked) return not_hooked(*feature);
    for (const EoiCpu& cpu : *look.now.eoi_cpus) {
        if (cpu.elided != 0 || cpu.written < kEnough) continue;
        Finding finding;
        finding.severity = Severity::kNote;
        finding.title = "Every interrupt ends with a write to the APIC";
        finding.number = "0 of " + count(cpu.written, "interrupt") + " elided on CPU " +
                         std::to_string(cpu.cpu) + " (eoi/cpus)";
        finding.meaning =
            "Most often that is fine: the host's CPU ends interrupts by itself (APICv, AVIC), and "
            "the write costs no exit. Then the host has Y or 1 in "
            "/sys/module/kvm_intel/parameters/enable_apicv or "
            "/sys/module/kvm_amd/parameters/avic. Otherwise each write costs an exit.";
        return finding;
    }
    return {};
}

}  // namespace kvmpv
