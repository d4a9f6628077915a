// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>

#include "read/sum.hh"
#include "rules/judges.hh"
#include "say/numbers.hh"

namespace kvmpv {
namespace {

constexpr double kWarningShare = 0.05;
constexpr double kCriticalShare = 0.20;
// Stolen far more than others: so many times the mean of these.
constexpr double kUneven = 4;
constexpr double kPercent = 100;

bool needs_two_looks(const Look& look) {
    return look.elapsed_ns() == 0 && !look.now.steal_cpus->empty();
}

Finding one_look_is_not_enough() {
    return {Severity::kUnknown,
            "One reading is not enough to judge this",
            "steal has not been counted since boot",
            "Read twice: --interval 1, or --since with an earlier copy.",
            {}};
}

std::string since(const Look& look) {
    return look.has_earlier() ? "in the last " + duration(look.elapsed_ns())
                              : "since boot, " + duration(look.elapsed_ns()) + " ago";
}

std::string who_loses(const Tree& tree) {
    const bool is_attributed = tree.steal && tree.steal->yes("attribution");
    return is_attributed ? "head -n 8 /sys/kernel/debug/kvmpv/steal/tasks"
                         : "kvmpv set steal/attribution 1";
}

}  // namespace

Finding judge_steal(const Look& look) {
    if (!look.now.steal_cpus) return unknown("steal/cpus");
    if (needs_two_looks(look)) return one_look_is_not_enough();
    std::int64_t stolen = 0;
    double part = 0;
    for (const StealCpu& cpu : *look.now.steal_cpus) {
        stolen = sum(stolen, look.stolen_ns(cpu));
        part += share(look.stolen_ns(cpu), look.elapsed_ns());
    }
    const auto cpus = static_cast<double>(look.now.steal_cpus->size());
    part = cpus > 0 ? part / cpus : 0;
    if (part < kWarningShare) return {};
    Finding finding;
    finding.severity = part >= kCriticalShare ? Severity::kCritical : Severity::kWarning;
    finding.title = "The host takes " + percent(part * kPercent) + " of the CPUs' time";
    finding.number = duration(stolen) + " on " + count(static_cast<std::int64_t>(cpus), "CPU") +
                     " " + since(look) + " (steal/cpus)";
    finding.meaning =
        "The guest had work to do, and the host ran something else: it has given out more CPUs "
        "than it has, or it limits this guest. Ask the host's operator for another machine or a "
        "larger share. The command shows which of your tasks lose the time.";
    finding.mend = who_loses(look.now);
    return finding;
}

Finding judge_uneven_steal(const Look& look) {
    if (!look.now.steal_cpus) return unknown("steal/cpus");
    const std::vector<StealCpu>& cpus = *look.now.steal_cpus;
    if (cpus.size() < 2) return {};
    if (needs_two_looks(look)) return one_look_is_not_enough();
    const auto worst = std::max_element(cpus.begin(), cpus.end(),
                                        [&](const StealCpu& left, const StealCpu& right) {
                                            return look.stolen_ns(left) < look.stolen_ns(right);
                                        });
    const double most = share(look.stolen_ns(*worst), look.elapsed_ns());
    double others = 0;
    for (const StealCpu& cpu : cpus)
        if (&cpu != &*worst) others += share(look.stolen_ns(cpu), look.elapsed_ns());
    others /= static_cast<double>(cpus.size() - 1);
    if (most < kWarningShare || most < kUneven * others) return {};
    Finding finding;
    finding.severity = Severity::kWarning;
    finding.title = "CPU " + std::to_string(worst->cpu) + " loses far more time than the others";
    finding.number = percent(most * kPercent) + ", the others " + percent(others * kPercent) +
                     " on average, " + since(look) + " (steal/cpus)";
    finding.meaning =
        "The host runs something else where it runs this vCPU: another guest that is pinned there, "
        "or the host's own interrupts. The host's operator can move it. Tasks that wait for this "
        "CPU wait longest.";
    return finding;
}

Finding judge_stepped_steal(const Look& look) {
    if (!look.now.steal_cpus) return unknown("steal/cpus");
    std::int64_t backward = 0;
    std::int64_t forward = 0;
    std::int64_t lost_ns = 0;
    std::int64_t dropped_ns = 0;
    for (const StealCpu& cpu : *look.now.steal_cpus) {
        backward = sum(backward, cpu.backward_steps.value_or(0));
        forward = sum(forward, cpu.forward_steps.value_or(0));
        lost_ns = sum(lost_ns, cpu.backward_ns.value_or(0));
        dropped_ns = sum(dropped_ns, cpu.dropped_ns.value_or(0));
    }
    if (backward == 0 && forward == 0) return {};
    const bool is_hooked = look.now.steal && look.now.steal->yes("hooked");
    Finding finding;
    finding.severity = is_hooked ? Severity::kNote : Severity::kWarning;
    finding.title = "The host's count of stolen time has stepped";
    finding.number = count(backward, "step") + " back by " + duration(lost_ns) + ", " +
                     count(forward, "step") + " ahead by " + duration(dropped_ns) + " (steal/cpus)";
    finding.meaning = "A move to another host can cause that. ";
    if (is_hooked) {
        finding.meaning += "kvmpv hides it from top and sar.";
    } else {
        finding.meaning +=
            "top and sar show it, so their steal is wrong. kvmpv hides it from them while it is "
            "hooked.";
        finding.mend = "kvmpv set steal/hook 1";
    }
    return finding;
}

}  // namespace kvmpv
