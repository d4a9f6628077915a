// SPDX-License-Identifier: GPL-2.0-only

#include "clock/pairing.hh"

#include "base/irqs.hh"
#include "base/mutex.hh"
#include "clock/clock.hh"
#include "clock/clock_read.hh"

namespace kvmpv {

constinit Pairing pairing;

namespace {

struct PairingGuest : ClockMachine {
    u64 answer_physical;

    static u64 realtime_ns() { return linux_realtime_ns(); }
    static u64 clock_ns() { return clock.enabled() ? clock.now_ns() : 0; }
    s64 ask() const {
        return linux_hypercall2(static_cast<u32>(Hypercall::KVM_HC_CLOCK_PAIRING), answer_physical,
                                kKvmClockPairingWallclock);
    }
};

// This CPU's record. Interrupts off.
ClockSample record_here(ClockMachine& machine) {
    if (!clock.enabled()) return {};
    return look(machine, *clock_read::record_here(), {});
}

}  // namespace

Result<void> Pairing::start(const kvmpv_parameters&) {
    return Result<void>::from_errno(linux_area_create(sizeof(KvmClockPairing), &area_));
}

void Pairing::stop() {
    if (area_.address) linux_area_destroy(&area_);
    area_ = {};
}

// With interrupts off, because an interrupt between the reads would widen the error bound.
Result<Pairing::Answer> Pairing::ask() {
    const MutexLock lock(KVMPV_MUTEX_PAIRING);
    if (!area_.address) return Error(-kEnomem);
    PairingGuest guest{{}, area_.physical};
    Answer answer{};
    {
        const IrqsOff irqs_off;
        const ClockSample record = record_here(guest);
        answer.look = take_pairing(guest, *static_cast<KvmClockPairing*>(area_.address));
        if (answer.look.answered()) answer.clock_ns = answer.look.clock_ns(record);
    }
    if (answer.look.fault == PairingFault::kNone) return answer;
    __atomic_store_n(&last_fault_, answer.look.fault, __ATOMIC_RELAXED);
    __atomic_store_n(&refused_, refused_ + 1, __ATOMIC_RELAXED);
    return answer;
}

}  // namespace kvmpv
