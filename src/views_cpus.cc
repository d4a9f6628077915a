// SPDX-License-Identifier: GPL-2.0-only
//
// `cpus`: a row per CPU, every MSR and what it points at.

#include "cpus.hh"
#include "kvmpv/version_read.hh"
#include "live_memory.hh"
#include "registration.hh"
#include "view.hh"
#include "views.hh"

namespace kvmpv {

namespace {

// An area that the host writes, mapped for as long as one row takes.
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

constexpr Msr kShownMsrs[] = {
    Msr::KVM_WALL_CLOCK,      Msr::KVM_SYSTEM_TIME,      Msr::KVM_WALL_CLOCK_NEW,
    Msr::KVM_SYSTEM_TIME_NEW, Msr::KVM_ASYNC_PF_EN,      Msr::KVM_STEAL_TIME,
    Msr::KVM_EOI_EN,          Msr::KVM_POLL_CONTROL,     Msr::KVM_ASYNC_PF_INT,
    Msr::KVM_ASYNC_PF_ACK,    Msr::KVM_MIGRATION_CONTROL};
constexpr u32 kNumShownMsrs = sizeof(kShownMsrs) / sizeof(kShownMsrs[0]);

constexpr u32 shown_at(Msr msr) {
    u32 at = 0;
    while (kShownMsrs[at] != msr) ++at;
    return at;
}

// Columns of `cpus`: the MSRs in the order of kShownMsrs, then the areas they point at.
constexpr Column kCpuColumns[] = {
    {"cpu", 3},
    {"wall_clock", 10},
    {"system_time", 11},
    {"wall_clock_new", 14},
    {"system_time_new", 15},
    {"async_pf_en", 12},
    {"steal_time", 12},
    {"eoi_en", 12},
    {"poll_control", 12},
    {"async_pf_int", 12},
    {"async_pf_ack", 12},
    {"migration_control", 17},
    {"clock_on", 8},
    {"clock_pa", 12},
    {"clock_version", 13},
    {"tsc_timestamp", 18},
    {"system_time_ns", 16},
    {"tsc_to_system_mul", 17},
    {"tsc_shift", 9},
    {"flags", 5},
    {"steal_on", 8},
    {"steal_pa", 12},
    {"steal_version", 13},
    {"steal_ns", 14},
    {"preempted", 9},
    {"eoi_on", 6},
    {"eoi_pa", 12},
    {"eoi_word", 8},
    {"async_pf_on", 11},
    {"async_pf_pa", 12},
};
constexpr u32 kNumCpuColumns = sizeof(kCpuColumns) / sizeof(kCpuColumns[0]);
using CpuTable = Table<SeqSink, kNumCpuColumns>;

void blank_cells(CpuTable& table, u32 count) {
    for (u32 i = 0; i < count; ++i) table.cell("-");
}

// Both of a registration MSR's parts; nothing where it could not be read.
void slot_cells(CpuTable& table, const Result<u64>& msr, u64 address_mask) {
    if (!msr.ok()) return blank_cells(table, 2);
    table.cell(yes_no(msr.value() & kMsrEnabled)).cell(Hex{msr.value() & address_mask});
}

// The address an enabled slot points at.
std::optional<u64> area_address(const Result<u64>& msr, u64 address_mask) {
    if (!msr.ok() || !(msr.value() & kMsrEnabled)) return std::nullopt;
    return msr.value() & address_mask;
}

// `system_time` is the MSR in force: the new one where offered, else its deprecated alias.
void clock_cells(CpuTable& table, const Result<u64>& system_time) {
    slot_cells(table, system_time, kSystemTimeAddressMask);
    const std::optional<u64> address = area_address(system_time, kSystemTimeAddressMask);
    if (!address) return blank_cells(table, 6);
    const MappedArea<PvclockVcpuTimeInfo> area(*address);
    if (!area.get()) return blank_cells(table, 6);

    const PvclockVcpuTimeInfo& live = *area.get();
    PvclockVcpuTimeInfo seen{};
    LiveMemory machine;
    const bool whole = version_read(machine, live.version, [&] {
        seen.version = x86::load(live.version);
        seen.tsc_timestamp = x86::load(live.tsc_timestamp);
        seen.system_time = x86::load(live.system_time);
        seen.tsc_to_system_mul = x86::load(live.tsc_to_system_mul);
        seen.tsc_shift = x86::load(live.tsc_shift);
        seen.flags = x86::load(live.flags);
    });
    if (!whole) {
        table.cell(x86::load(live.version));
        for (u32 i = 0; i < 5; ++i) table.cell("torn");
        return;
    }
    table.cell(seen.version)
        .cell(seen.tsc_timestamp)
        .cell(seen.system_time)
        .cell(seen.tsc_to_system_mul)
        .cell(Signed{seen.tsc_shift})
        .cell(u64{seen.flags});
}

void steal_cells(CpuTable& table, const Result<u64>& msr) {
    slot_cells(table, msr, kStealTimeAddressMask);
    const std::optional<u64> address = area_address(msr, kStealTimeAddressMask);
    if (!address) return blank_cells(table, 3);
    const MappedArea<KvmStealTime> area(*address);
    if (!area.get()) return blank_cells(table, 3);

    const KvmStealTime& live = *area.get();
    u64 steal_ns = 0;
    u32 version = 0;
    LiveMemory machine;
    const bool whole = version_read(machine, live.version, [&] {
        version = x86::load(live.version);
        steal_ns = x86::load(live.steal);
    });
    table.cell(whole ? version : x86::load(live.version));
    if (whole)
        table.cell(steal_ns);
    else
        table.cell("torn");
    // Outside the version protocol: the host writes it at any time.
    table.cell(u64{x86::load(live.preempted)});
}

void eoi_cells(CpuTable& table, const Result<u64>& msr) {
    slot_cells(table, msr, kEoiAddressMask);
    const std::optional<u64> address = area_address(msr, kEoiAddressMask);
    if (!address) return blank_cells(table, 1);
    const MappedArea<KvmPvEoi> area(*address);
    if (!area.get()) return blank_cells(table, 1);
    table.cell(Hex{x86::load(area.get()->word)});
}

using MsrValues = std::array<Result<u64>, kNumShownMsrs>;

void write_cpu(CpuTable& table, u32 cpu) {
    MsrValues values = [&]<std::size_t... kAt>(std::index_sequence<kAt...>) {
        return MsrValues{LiveKernel::rdmsr(cpu, kShownMsrs[kAt])...};
    }
    (std::make_index_sequence<kNumShownMsrs>{});

    table.cell(cpu);
    for (const Result<u64>& value : values) {
        if (value.ok())
            table.cell(Hex{value.value()});
        else
            table.cell("unreadable");
    }
    const Result<u64>& system_time_new = values[shown_at(Msr::KVM_SYSTEM_TIME_NEW)];
    clock_cells(table,
                system_time_new.ok() ? system_time_new : values[shown_at(Msr::KVM_SYSTEM_TIME)]);
    steal_cells(table, values[shown_at(Msr::KVM_STEAL_TIME)]);
    eoi_cells(table, values[shown_at(Msr::KVM_EOI_EN)]);
    slot_cells(table, values[shown_at(Msr::KVM_ASYNC_PF_EN)], kAsyncPfAddressMask);
}

}  // namespace

void show_cpus(void* seq) {
    Out out = begin_view(seq);
    CpuTable table(out, kCpuColumns);
    linux_cpus_lock();
    for (const u32 cpu : online_cpus()) write_cpu(table, cpu);
    linux_cpus_unlock();
}

}  // namespace kvmpv
