// SPDX-License-Identifier: GPL-2.0-only

#include "files/cpu_slots.hh"

#include "base/live_memory.hh"
#include "kvmpv/version_read.hh"

namespace kvmpv {

namespace {

// An area that the host writes to, mapped while this object lives.
template <class Area>
class MappedArea {
public:
    explicit MappedArea(u64 physical) {
        mapped_ = linux_map_shared(physical, sizeof(Area), &mapping_) == 0;
    }
    ~MappedArea() {
        if (mapped_) linux_unmap_shared(&mapping_);
    }
    MappedArea(const MappedArea&) = delete;
    MappedArea& operator=(const MappedArea&) = delete;

    const Area* get() const {
        return mapped_ ? static_cast<const Area*>(mapping_.address) : nullptr;
    }

private:
    linux_mapping mapping_{};
    bool mapped_ = false;
};

// The copies return false if the record is torn. Then only what AreaSeen::area says is valid.
bool copy(const PvclockVcpuTimeInfo& live, PvclockVcpuTimeInfo& seen) {
    LiveMemory machine;
    const bool whole = version_read(machine, live.version, [&] {
        seen.version = x86::load(live.version);
        seen.tsc_timestamp = x86::load(live.tsc_timestamp);
        seen.system_time = x86::load(live.system_time);
        seen.tsc_to_system_mul = x86::load(live.tsc_to_system_mul);
        seen.tsc_shift = x86::load(live.tsc_shift);
        seen.flags = x86::load(live.flags);
    });
    if (!whole) seen.version = x86::load(live.version);
    return whole;
}

bool copy(const KvmStealTime& live, KvmStealTime& seen) {
    LiveMemory machine;
    const bool whole = version_read(machine, live.version, [&] {
        seen.version = x86::load(live.version);
        seen.steal = x86::load(live.steal);
    });
    if (!whole) seen.version = x86::load(live.version);
    // Not covered by the version: the host writes it at any time.
    seen.preempted = x86::load(live.preempted);
    return whole;
}

bool copy(const KvmPvEoi& live, KvmPvEoi& seen) {
    seen.word = x86::load(live.word);
    return true;
}

// Reads the area that an enabled slot points at.
template <class Area>
void look(const Result<u64>& msr, u64 address_mask, AreaSeen<Area>& seen) {
    if (!msr.ok() || !(msr.value() & kMsrEnabled)) return;
    const MappedArea<Area> mapped(msr.value() & address_mask);
    if (!mapped.get()) return;
    seen.is_there = true;
    seen.torn = !copy(*mapped.get(), seen.area);
}

template <std::size_t... kAt>
std::array<Result<u64>, kNumShownMsrs> read_all(u32 cpu, std::index_sequence<kAt...>) {
    return {LiveKernel::rdmsr(cpu, kShownMsrs[kAt])...};
}

}  // namespace

const Result<u64>& CpuSlots::msr(Msr which) const {
    u32 at = 0;
    while (kShownMsrs[at] != which) ++at;
    return msrs[at];
}

const Result<u64>& CpuSlots::system_time() const {
    const Result<u64>& current = msr(Msr::KVM_SYSTEM_TIME_NEW);
    return current.ok() ? current : msr(Msr::KVM_SYSTEM_TIME);
}

CpuSlots look_at_slots(u32 cpu) {
    CpuSlots seen{cpu, read_all(cpu, std::make_index_sequence<kNumShownMsrs>{}), {}, {}, {}};
    look(seen.system_time(), kSystemTimeAddressMask, seen.clock);
    look(seen.msr(Msr::KVM_STEAL_TIME), kStealTimeAddressMask, seen.steal);
    look(seen.msr(Msr::KVM_EOI_EN), kEoiAddressMask, seen.eoi);
    return seen;
}

}  // namespace kvmpv
