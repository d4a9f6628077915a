// SPDX-License-Identifier: GPL-2.0-only

#include "async_pf/async_pf.hh"

#include "base/log.hh"
#include "kvmpv/text.hh"
#include "x86.hh"

namespace kvmpv {

constinit AsyncPf async_pf;

Result<void> AsyncPf::start(const kvmpv_parameters& parameters) {
    started_ = true;
    if (parameters.switches[KVMPV_ASYNC_PF_ACCOUNTING])
        if (const Result<void> counts = set_accounting(true); !counts.ok())
            log_error("async_pf: waits cannot be counted", counts.error());
    return {};
}

void AsyncPf::stop() {
    if (!started_) return;
    if (accounting()) {
        static_cast<void>(set_accounting(false));
        log_cut();
    }
    started_ = false;
    page_waits::destroy();
}

// Nobody can read it any more.
void AsyncPf::log_cut() {
    const u64 cut = page_waits::total().cut;
    if (!cut) return;
    LineBuffer<100> line;
    Writer<LineSink<100>> out(LineSink<100>{&line});
    out << "async_pf: " << cut << " waits were cut: tasks wait still, and are not counted";
    linux_log_info(line.text());
}

Result<void> AsyncPf::set_accounting(bool on) {
    const MutexLock lock(KVMPV_MUTEX_ASYNC_PF);
    if (!started_) return Error(-kEinval);
    if (on == accounting()) return {};
    const Result<void> done = page_waits::set_on(on);
    if (on && done.ok()) counted_since_ns_ = linux_monotonic_ns();
    return done;
}

AsyncPf::State AsyncPf::state() const {
    State now{};
    now.started = started_;
    if (!started_) return now;
    const MutexLock lock(KVMPV_MUTEX_ASYNC_PF);
    now.accounting = accounting();
    now.most_at_once = page_waits::most_at_once();
    now.missed = linux_apf_waits_missed();
    now.counted_since_ns = counted_since_ns_;
    now.total = page_waits::total();
    return now;
}

AsyncPf::OfCpu AsyncPf::look(u32 cpu) {
    OfCpu of{cpu,
             LiveKernel::rdmsr(cpu, Msr::KVM_ASYNC_PF_EN),
             LiveKernel::rdmsr(cpu, Msr::KVM_ASYNC_PF_INT),
             {},
             0,
             page_waits::of_cpu(cpu)};
    u64 physical = 0;
    if (const void* const live = linux_native_apf_record(cpu, &physical)) {
        const auto& record = *static_cast<const KvmVcpuPvApfData*>(live);
        of.record.flags = x86::load(record.flags);
        of.record.token = x86::load(record.token);
    }
    of.interrupts = linux_hypervisor_interrupts(cpu);
    return of;
}

}  // namespace kvmpv
