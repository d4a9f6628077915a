// SPDX-License-Identifier: GPL-2.0-only
//
// The callback that ends every interrupt while PV EOI is hooked. It is called with interrupts off,
// possibly from inside the tracer. So nothing here may be traced, take a lock or write to the log,
// and the whole file is compiled without ftrace (Kbuild).

#include "kvmpv/boundary.h"
#include "kvmpv/pv_eoi.hh"
#include "kvmpv/x86.hh"

static_assert(static_cast<unsigned>(kvmpv::EoiCounter::kNumCounters) == KVMPV_NUM_EOI_COUNTERS);

namespace kvmpv {
namespace {

struct LiveEoi {
    [[gnu::always_inline]] static bool test_and_clear() {
        return x86::this_cpu_test_and_clear_bit0<&kvmpv_cpu.eoi_word>();
    }
    static bool in_idle() { return linux_in_idle(); }
    // Bypasses KVM's own callback, which would test the word again.
    static void write_eoi() { linux_eoi_write(); }

    [[gnu::always_inline]] static void count(EoiCounter counter) {
        switch (counter) {
            case EoiCounter::kElided: return increment<EoiCounter::kElided>();
            case EoiCounter::kWrittenBusy: return increment<EoiCounter::kWrittenBusy>();
            case EoiCounter::kWrittenIdle: return increment<EoiCounter::kWrittenIdle>();
            case EoiCounter::kNumCounters: return;
        }
    }

private:
    template <EoiCounter kCounter>
    [[gnu::always_inline]] static void increment() {
        x86::this_cpu_increment<&kvmpv_cpu.eoi_count[static_cast<unsigned>(kCounter)]>();
    }
};

}  // namespace
}  // namespace kvmpv

extern "C" void kvmpv_eoi(u32, u32) {
    kvmpv::LiveEoi machine;
    kvmpv::end_of_interrupt(machine);
}
