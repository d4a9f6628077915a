// SPDX-License-Identifier: GPL-2.0-only
//
// How the clock continues if the host refuses its slot after sleep: by the TSC alone, in records
// that we write ourselves, so that every reader finds what it always reads.
//
// It continues from what it showed last, and all CPUs stay with that until the next sleep. A record
// of the host's would include the sleep. The kernel has read the clock at the wake-up, when there
// was none, and takes whatever comes later for time that has passed while it was awake.

#pragma once

#include "kvmpv/disruption.hh"

namespace kvmpv {

class ClockAlone {
public:
    // Before sleep: what a look has found in this CPU's record, and what the clock shows.
    void sleep(const ClockSample& record, u64 shown_ns) {
        before_ = record;
        shown_ns_ = shown_ns;
    }
    u64 shown_ns() const { return shown_ns_; }

    // After sleep, at `tsc` of the only CPU that is online. False if that look has found no rate.
    [[nodiscard]] bool begin(u64 tsc) {
        tsc_ = tsc;
        is_on_ = before_.can_tell_time();
        return is_on_;
    }
    void end() { is_on_ = false; }
    bool is_on() const { return is_on_; }

    // Writes the record of a CPU as the host would. Only while is_on(), and while the host does not
    // write it. If the host had promised that all CPUs agree they get the same record. Otherwise
    // the record begins at this CPU's own `tsc`, with `last_ns`, which some CPU has shown last.
    void write(PvclockVcpuTimeInfo& record, u64 tsc, u64 last_ns) const {
        const bool agree = before_.flags & kPvclockTscStable;
        const bool is_later = !agree && last_ns > shown_ns_;
        const u32 odd = record.version | 1;
        __atomic_store_n(&record.version, odd, __ATOMIC_RELAXED);
        // In this order.
        store(record.tsc_timestamp, agree ? tsc_ : tsc);
        store(record.system_time, is_later ? last_ns : shown_ns_);
        store(record.tsc_to_system_mul, before_.tsc_to_system_mul);
        store(record.tsc_shift, before_.tsc_shift);
        store(record.flags, static_cast<u8>(before_.flags & kPvclockTscStable));
        store(record.version, odd + 1);
    }

private:
    template <class T>
    static void store(T& shared, T value) {
        __atomic_store_n(&shared, value, __ATOMIC_RELEASE);
    }

    ClockSample before_;
    u64 shown_ns_ = 0;
    u64 tsc_ = 0;
    bool is_on_ = false;
};

}  // namespace kvmpv
