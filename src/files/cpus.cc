// SPDX-License-Identifier: GPL-2.0-only
//
// The file `cpus`: a row for each CPU, with every MSR and the area that it points at.

#include "base/view.hh"
#include "files/cpu_slots.hh"
#include "files/views.hh"

namespace kvmpv {

namespace {

// The columns: the MSRs in the order of kShownMsrs, then the areas that they point at.
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

// The two parts of a registration MSR; `-` if the MSR could not be read.
void slot_cells(CpuTable& table, const Result<u64>& msr, u64 address_mask) {
    if (!msr.ok()) return blank_cells(table, 2);
    table.cell(yes_no(msr.value() & kMsrEnabled)).cell(Hex{msr.value() & address_mask});
}

void clock_cells(CpuTable& table, const CpuSlots& of) {
    slot_cells(table, of.system_time(), kSystemTimeAddressMask);
    if (!of.clock.is_there) return blank_cells(table, 6);
    const PvclockVcpuTimeInfo& seen = of.clock.area;
    table.cell(seen.version);
    if (of.clock.torn) {
        for (u32 i = 0; i < 5; ++i) table.cell("torn");
        return;
    }
    table.cell(seen.tsc_timestamp)
        .cell(seen.system_time)
        .cell(seen.tsc_to_system_mul)
        .cell(Signed{seen.tsc_shift})
        .cell(u64{seen.flags});
}

void steal_cells(CpuTable& table, const CpuSlots& of) {
    slot_cells(table, of.msr(Msr::KVM_STEAL_TIME), kStealTimeAddressMask);
    if (!of.steal.is_there) return blank_cells(table, 3);
    table.cell(of.steal.area.version);
    if (of.steal.torn)
        table.cell("torn");
    else
        table.cell(of.steal.area.steal);
    table.cell(u64{of.steal.area.preempted});
}

void eoi_cells(CpuTable& table, const CpuSlots& of) {
    slot_cells(table, of.msr(Msr::KVM_EOI_EN), kEoiAddressMask);
    if (!of.eoi.is_there) return blank_cells(table, 1);
    table.cell(Hex{of.eoi.area.word});
}

void write_cpu(CpuTable& table, const CpuSlots& of) {
    table.cell(of.cpu);
    for (const Result<u64>& value : of.msrs) {
        if (value.ok())
            table.cell(Hex{value.value()});
        else
            table.cell("unreadable");
    }
    clock_cells(table, of);
    steal_cells(table, of);
    eoi_cells(table, of);
    slot_cells(table, of.msr(Msr::KVM_ASYNC_PF_EN), kAsyncPfAddressMask);
}

}  // namespace

void show_cpus(void* seq) {
    Out out = begin_view(seq);
    CpuTable table(out, kCpuColumns);
    for_each_cpu_slots([&](const CpuSlots& of) { write_cpu(table, of); });
}

}  // namespace kvmpv
