// SPDX-License-Identifier: GPL-2.0-only
//
// A registration: one MSR slot per vCPU that holds the address of an area the host keeps writing.
// Clock, steal time and PV EOI are the three instantiations; what differs between them is their
// Layout. A Layout has:
//     static std::optional<Msr> msr(const KvmCpuid&)   the slot, or nothing if it is not offered
//     static Use use(u32 cpu, u64 msr_value)           does the running kernel use what it points at
// and a Kernel, the live one or a scripted one:
//     static int next_online_cpu(int cpu)              -1 starts and ends
//     static Result<u64> rdmsr(u32 cpu, Msr msr)

#pragma once

#include "kvmpv/boundary.h"
#include "kvmpv/cpuid.hh"
#include "kvmpv/result.hh"
#include "kvmpv/slot.hh"

namespace kvmpv {

struct LiveKernel {
    static int next_online_cpu(int cpu) { return linux_next_online_cpu(cpu); }

    static Result<u64> rdmsr(u32 cpu, Msr msr) {
        u64 value = 0;
        const int error = linux_rdmsr_on_cpu(cpu, static_cast<u32>(msr), &value);
        if (error) return Error(error);
        return value;
    }
};

template <class Layout, class Kernel = LiveKernel>
class Registration {
public:
    // Reads the slot of every online CPU and decides what may be done with it. No CPU may come or go
    // meanwhile (linux_cpus_lock). Nothing is read where CPUID does not offer the feature: the MSR
    // would fault. `wanted`: no parameter disables it.
    void find(const KvmCpuid& kvm, bool wanted) {
        survey_ = {};
        const std::optional<Msr> msr = Layout::msr(kvm);
        if (msr) {
            msr_ = *msr;
            for (int cpu = Kernel::next_online_cpu(-1); cpu >= 0; cpu = Kernel::next_online_cpu(cpu))
                look(static_cast<u32>(cpu));
        }
        decision_ = decide(msr.has_value(), wanted, survey_);
    }

    // A step that the decision asked for has failed.
    void fail() { decision_ = {Mode::kOff, Reason::kStepFailed}; }

    const Decision& decision() const { return decision_; }
    const SlotSurvey& survey() const { return survey_; }
    Msr msr() const { return msr_; }

private:
    void look(u32 cpu) {
        const Result<u64> value = Kernel::rdmsr(cpu, msr_);
        if (value.ok())
            survey_.add(cpu, value.value(), Layout::use(cpu, value.value()));
        else
            survey_.add_unreadable(cpu, value.error().negative_errno());
    }

    Msr msr_{};
    SlotSurvey survey_;
    Decision decision_;
};

}  // namespace kvmpv
