// SPDX-License-Identifier: GPL-2.0-only

#include "sampler/views.hh"

#include "base/cpus.hh"
#include "sampler/sampler.hh"

namespace kvmpv {

void write_sampler_section(Out& out) {
    if (!sampler::is_on()) {
        (out << "sampler: off: no events, and a broken promise goes unnoticed").end_line();
        return;
    }
    out << "sampler: looks at each CPU once a second";
    bool any = false;
    for (const u32 cpu : online_cpus()) {
        if (!linux_cpu_is_isolated(cpu)) continue;
        out << (any ? "," : ", but not at isolated ones: ") << cpu;
        any = true;
    }
    out.end_line();
}

}  // namespace kvmpv
