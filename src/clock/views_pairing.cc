// SPDX-License-Identifier: GPL-2.0-only
//
// `clock/pairing`.

#include "base/view.hh"
#include "clock/pairing.hh"
#include "clock/views.hh"

namespace kvmpv {

namespace {

void write_failure(Out& out, s64 returned) {
    switch (returned) {
        case -kKvmEopnotsupp:
            out << "not offered: the host does not keep its time by the TSC (KVM_EOPNOTSUPP)";
            return;
        case -kKvmEnosys: out << "not offered: the host has no such hypercall (KVM_ENOSYS)"; return;
        case -kKvmEfault:
            out << "failed: the host could not write to the guest's memory (KVM_EFAULT)";
            return;
    }
    out << "failed: the hypercall returned " << Signed{returned};
}

// A row whose value is the rest of the line.
void write_state(Out& out, const Result<Pairing::Answer>& asked) {
    out << "state";
    out.pad_to(kFieldColumns[0].width + 1);
    if (!asked.ok())
        out << "failed: no memory for the host's answer";
    else if (asked.value().look.returned != 0)
        write_failure(out, asked.value().look.returned);
    else if (!asked.value().look.answered())
        out << "refused: " << pairing_fault_text(asked.value().look.fault);
    else
        out << "answered";
    out.end_line();
}

void write_answer(FieldTable& table, const Pairing::Answer& answer) {
    table.cell("host_realtime_ns").cell(answer.look.host_ns);
    table.cell("tsc").cell(answer.look.tsc);
    table.cell("flags").cell(answer.look.flags);
    table.cell("clock_ns");
    if (answer.clock_ns)
        table.cell(*answer.clock_ns);
    else
        table.cell("-");
    const std::optional<RealtimeOffset> offset = answer.look.offset();
    if (!offset) return;
    table.cell("realtime_ns").cell(offset->realtime_ns);
    table.cell("offset_ns").cell(Signed{offset->offset_ns});
    table.cell("error_ns").cell(offset->error_ns);
}

void show_clock_pairing(void* seq) {
    Out out = begin_view(seq);
    FieldTable table(out, kFieldColumns);
    const Result<Pairing::Answer> asked = pairing.ask();
    write_state(out, asked);
    if (asked.ok() && asked.value().look.answered()) write_answer(table, asked.value());
    const u64 refused = pairing.refused();
    table.cell("refused").cell(refused);
    if (refused) {
        out << "refused_last";
        out.pad_to(kFieldColumns[0].width + 1) << pairing_fault_text(pairing.last_fault());
        out.end_line();
    }
}

constexpr kvmpv_file kFiles[] = {{"clock", "pairing", show_clock_pairing, nullptr}};

}  // namespace

std::span<const kvmpv_file> pairing_files() { return kFiles; }

}  // namespace kvmpv
