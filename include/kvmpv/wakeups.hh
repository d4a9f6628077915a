// SPDX-License-Identifier: GPL-2.0-only
//
// How often an idle CPU is woken, by what, and how long that took. Nothing here knows the kernel.

#pragma once

#include "kvmpv/histogram.hh"

namespace kvmpv {

// 16 buckets for each power of two, so a percentile is at most 6.25 % too high. Up to 68 s.
using LatencyHistogram = LogLinearHistogram<4, 36>;

struct Latency {
    u64 count;
    u64 median_ns;
    u64 p99_ns;
};

inline Latency latency_of(const LatencyHistogram& histogram) {
    return {histogram.count(), histogram.percentile(50), histogram.percentile(99)};
}

// The wake-ups of one CPU. Memory of zeros has counted none. All calls are made on that CPU with
// interrupts off, except ipi_sent(), which any CPU makes at any time.
class Wakeups {
public:
    struct Counts {
        u64 all;  // by anything: timers, IPIs and devices
        u64 timer;
        u64 ipi;
        Latency timer_late;  // from when a timer was due until the kernel began to handle it
        Latency ipi_took;    // from when the IPI was sent until it arrived
    };

    // The CPU begins to idle.
    void idle_begins() {
        waits_ = true;
        // An IPI that was sent before has not woken the CPU from this idle period.
        __atomic_store_n(&sent_ns_, u64{0}, __ATOMIC_RELAXED);
    }

    // The kernel handles a timer that was due `late_ns` ago. Only the first timer of an idle period
    // has woken the CPU. A timer that is not due yet has not: the kernel may handle it early,
    // together with another one.
    void timer(s64 late_ns) {
        if (!waits_ || late_ns < 0) return;
        waits_ = false;
        ++timers_;
        timer_late_.add(static_cast<u64>(late_ns));
    }

    // Another CPU sends an IPI to this one. `now_ns` is not 0. The first of several counts.
    void ipi_sent(u64 now_ns) {
        u64 none = 0;
        __atomic_compare_exchange_n(&sent_ns_, &none, now_ns, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED);
    }

    // An IPI arrives. The clocks of two CPUs may differ a little, so a negative time counts as 0.
    void ipi_arrived(u64 now_ns) {
        const u64 sent_ns = __atomic_exchange_n(&sent_ns_, u64{0}, __ATOMIC_RELAXED);
        if (!waits_) return;
        waits_ = false;
        ++ipis_;
        if (sent_ns) ipi_took_.add(now_ns > sent_ns ? now_ns - sent_ns : 0);
    }

    // The CPU leaves idle, for any reason.
    void idle_ends() {
        ++all_;
        waits_ = false;
    }

    Counts counts() const {
        return {all_, timers_, ipis_, latency_of(timer_late_), latency_of(ipi_took_)};
    }

    // Not by assignment, which could put another object of this size on the stack. If the CPU is
    // idle now, what wakes it still counts.
    void forget() {
        const bool waits = waits_;
        __builtin_memset(static_cast<void*>(this), 0, sizeof(*this));
        waits_ = waits;
    }

private:
    bool waits_ = false;  // the CPU is idle, and nothing has woken it yet
    u64 sent_ns_ = 0;     // 0: no IPI is on its way
    u64 all_ = 0;
    u64 timers_ = 0;
    u64 ipis_ = 0;
    LatencyHistogram timer_late_;
    LatencyHistogram ipi_took_;
};

}  // namespace kvmpv
