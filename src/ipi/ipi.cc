// SPDX-License-Identifier: GPL-2.0-only

#include "ipi/ipi.hh"

#include "base/cpus.hh"
#include "base/mutex.hh"
#include "x86.hh"

namespace kvmpv {

constinit IpiCalls ipi_calls;

Result<void> IpiCalls::start(const kvmpv_parameters& parameters) {
    return parameters.switches[KVMPV_IPI_COUNT] ? count(true) : Result<void>();
}

void IpiCalls::stop() { static_cast<void>(count(false)); }

Result<void> IpiCalls::count(bool on) {
    const MutexLock lock(KVMPV_MUTEX_IPI);
    if (on == counts_) return {};
    if (!on) {
        linux_ipi_calls_disable();
        counts_ = false;
        return {};
    }
    // No probe runs yet.
    for (const u32 cpu : possible_cpus()) {
        linux_cpu(cpu)->ipi_calls = 0;
        linux_cpu(cpu)->ipi_calls_to_all_others = 0;
    }
    const Result<void> enabled = Result<void>::from_errno(linux_ipi_calls_enable());
    counts_ = enabled.ok();
    return enabled;
}

}  // namespace kvmpv

using namespace kvmpv;

extern "C" void kvmpv_ipi_call(bool to_all_others) {
    x86::this_cpu_increment<&kvmpv_cpu.ipi_calls>();
    if (to_all_others) x86::this_cpu_increment<&kvmpv_cpu.ipi_calls_to_all_others>();
}
