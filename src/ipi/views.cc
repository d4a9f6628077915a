// SPDX-License-Identifier: GPL-2.0-only

#include "ipi/views.hh"

#include "base/cpus.hh"
#include "ipi/ipi.hh"
#include "x86.hh"

namespace kvmpv {

namespace {

void show_ipi_cpus(void* seq) {
    static constexpr Column kColumns[] = {{"cpu", 3}, {"calls", 12}, {"calls_to_all_others", 19}};
    Out out = begin_view(seq);
    Table table(out, kColumns);
    if (!ipi_calls.counts()) return;
    const CpusLock lock;
    for (const u32 cpu : online_cpus()) {
        const struct kvmpv_cpu& own = *linux_cpu(cpu);
        // Read before ipi_calls, which is incremented first. So it is never larger than that.
        const u64 to_all_others = x86::load(own.ipi_calls_to_all_others);
        table.cell(cpu).cell(x86::load(own.ipi_calls)).cell(to_all_others);
    }
}

void show_ipi_count(void* seq) {
    Out out = begin_view(seq);
    FieldTable table(out, kFieldColumns);
    table.cell("on").cell(yes_no(ipi_calls.counts()));
}

int store_ipi_count(const char* text) {
    return store_switch(text, [](bool on) { return ipi_calls.count(on); });
}

constexpr kvmpv_file kFiles[] = {
    {"ipi", "cpus", show_ipi_cpus, nullptr},
    {"ipi", "count", show_ipi_count, store_ipi_count},
};

}  // namespace

std::span<const kvmpv_file> ipi_files() { return kFiles; }

}  // namespace kvmpv
