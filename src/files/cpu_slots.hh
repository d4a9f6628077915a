// SPDX-License-Identifier: GPL-2.0-only
//
// What each KVM MSR of a CPU holds, whoever wrote it, and the area that it points at.

#pragma once

#include "base/cpus.hh"
#include "slot/registration.hh"

namespace kvmpv {

inline constexpr Msr kShownMsrs[] = {
    Msr::KVM_WALL_CLOCK,      Msr::KVM_SYSTEM_TIME,      Msr::KVM_WALL_CLOCK_NEW,
    Msr::KVM_SYSTEM_TIME_NEW, Msr::KVM_ASYNC_PF_EN,      Msr::KVM_STEAL_TIME,
    Msr::KVM_EOI_EN,          Msr::KVM_POLL_CONTROL,     Msr::KVM_ASYNC_PF_INT,
    Msr::KVM_ASYNC_PF_ACK,    Msr::KVM_MIGRATION_CONTROL};
inline constexpr u32 kNumShownMsrs = sizeof(kShownMsrs) / sizeof(kShownMsrs[0]);

// What an area that the host writes to held at one moment.
template <class Area>
struct AreaSeen {
    bool is_there = false;  // the slot is enabled, and its area could be mapped
    bool torn = false;
    Area area{};  // if torn, only `version` is valid, and `preempted`
};

struct CpuSlots {
    u32 cpu;
    std::array<Result<u64>, kNumShownMsrs> msrs;
    AreaSeen<PvclockVcpuTimeInfo> clock;
    AreaSeen<KvmStealTime> steal;
    AreaSeen<KvmPvEoi> eoi;

    const Result<u64>& msr(Msr which) const;
    // The clock's MSR: the new one if it can be read, otherwise its deprecated alias.
    const Result<u64>& system_time() const;
};

// Reads all MSRs of `cpu`, which must be online, and the areas. Interrupts on; may sleep.
CpuSlots look_at_slots(u32 cpu);

// Calls row(const CpuSlots&) for each online CPU. Takes the hotplug lock; may sleep.
template <class Row>
void for_each_cpu_slots(Row&& row) {
    const CpusLock lock;
    for (const u32 cpu : online_cpus()) row(look_at_slots(cpu));
}

}  // namespace kvmpv
