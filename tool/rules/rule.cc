// SPDX-License-Identifier: GPL-2.0-only
#include "rules/rule.hh"

#include <algorithm>

#include "rules/judges.hh"

namespace kvmpv {
namespace {

std::int64_t difference(Number now, Number earlier) {
    if (!now || !earlier || *now < *earlier) return 0;
    std::int64_t result;
    return __builtin_sub_overflow(*now, *earlier, &result) ? 0 : result;
}

bool counts_since_boot(const Tree& tree) {
    const Feature* const steal = tree.status ? tree.status->feature("steal") : nullptr;
    return steal != nullptr && steal->mode == "shared";
}

}  // namespace

std::int64_t Look::elapsed_ns() const {
    if (!has_earlier()) return counts_since_boot(now) ? now.uptime_ns.value_or(0) : 0;
    // Finer than the hundredths of a second of /proc/uptime.
    if (now.monotonic_ns && earlier.monotonic_ns)
        return difference(now.monotonic_ns, earlier.monotonic_ns);
    return difference(now.uptime_ns, earlier.uptime_ns);
}

std::int64_t Look::stolen_ns(const StealCpu& cpu) const {
    if (!has_earlier()) return std::max<std::int64_t>(cpu.steal_ns, 0);
    for (const StealCpu& before : *earlier.steal_cpus)
        if (before.cpu == cpu.cpu) return difference(cpu.steal_ns, before.steal_ns);
    return 0;  // it has come since
}

const std::vector<Rule>& rules() {
    static const std::vector<Rule> all = {
        {"slow-clock", judge_slow_clock},
        {"tsc-unstable", judge_tsc},
        {"vdso-off", judge_vdso},
        {"promise-revoked", judge_promise},
        {"clock-alone", judge_alone},
        {"drift", judge_drift},
        {"wall-clock", judge_wall_clock},
        {"steal", judge_steal},
        {"uneven-steal", judge_uneven_steal},
        {"stepped-steal", judge_stepped_steal},
        {"eoi-written", judge_eoi},
    };
    return all;
}

const char* name_of(Severity severity) {
    switch (severity) {
        case Severity::kFine: return "OK";
        case Severity::kNote: return "note";
        case Severity::kUnknown: return "UNKNOWN";
        case Severity::kWarning: return "WARNING";
        case Severity::kCritical: return "CRITICAL";
    }
    return "UNKNOWN";
}

int nagios_status(Severity worst) {
    switch (worst) {
        case Severity::kFine:
        case Severity::kNote: return 0;
        case Severity::kWarning: return 1;
        case Severity::kCritical: return 2;
        case Severity::kUnknown: return 3;
    }
    return 3;
}

}  // namespace kvmpv
