// SPDX-License-Identifier: GPL-2.0-only
//
// The second table of `features`: what hypercalls the host offers and the kernel makes.

#include "base/view.hh"
#include "boundary.h"
#include "clock/pairing.hh"
#include "files/views.hh"

namespace kvmpv {

namespace {

// CPUID does not tell whether the host answers this one, so it is asked.
const char* answers_clock_pairing() {
    const Result<Pairing::Answer> asked = pairing.ask();
    return asked.ok() ? yes_no(asked.value().look.returned == 0) : "-";
}

const char* offered(const HypercallName& hypercall, const KvmCpuid& kvm) {
    if (hypercall.number == Hypercall::KVM_HC_CLOCK_PAIRING) return answers_clock_pairing();
    return hypercall.offered_by ? yes_no(kvm.has(*hypercall.offered_by)) : "-";
}

const char* used(const HypercallName& hypercall) {
    const int made = linux_makes_hypercall(static_cast<u32>(hypercall.number));
    return made < 0 ? "-" : yes_no(made == 1);
}

}  // namespace

void write_hypercalls(Out& out, const KvmCpuid& kvm) {
    static constexpr Column kColumns[] = {
        {"hypercall", 21}, {"number", 6}, {"offered", 7}, {"used", 4}};
    Table table(out, kColumns);
    for (const HypercallName& one : kHypercallNames)
        table.cell(one.name)
            .cell(static_cast<u32>(one.number))
            .cell(offered(one, kvm))
            .cell(used(one));
}

}  // namespace kvmpv
