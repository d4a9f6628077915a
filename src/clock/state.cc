// SPDX-License-Identifier: GPL-2.0-only

#include "clock/state.hh"

#include "base/cpus.hh"
#include "clock/clock.hh"
#include "clock/clock_read.hh"
#include "x86.hh"

namespace kvmpv {

namespace {

void add_counts(ClockState& state, const struct kvmpv_cpu& from) {
    for (u32 i = 0; i < kNumClockCounters; ++i) state.counts[i] += x86::load(from.clock_count[i]);
    const u64 held_back_ns = x86::load(from.clock_held_back_max_ns);
    if (held_back_ns > state.held_back_max_ns) state.held_back_max_ns = held_back_ns;
}

bool promises(const PvclockVcpuTimeInfo& record) {
    return x86::load(record.flags) & kPvclockTscStable;
}

// Of the CPUs that are online now.
bool every_record_promises() {
    for (const u32 cpu : online_cpus())
        if (!promises(*clock_read::record_read_by(cpu))) return false;
    return true;
}

}  // namespace

ClockState Clock::state() const {
    ClockState now{};
    now.registered = registered();
    now.stable_offered = slots.kvm.has(Feature::KVM_FEATURE_CLOCKSOURCE_STABLE_BIT);
    now.enabled = enabled_;
    if (!enabled_) return now;
    now.unbound = unbound();
    now.current = current();
    now.owned = owned();
    now.uses_deprecated_msr = records_.uses_deprecated_msr();
    now.rating = rating();
    now.released = released_;
    now.why_current = why_current();
    now.is_named = linux_clocksource_is_named();
    now.is_watchdog = linux_clocksource_is_watchdog(&now.judges);
    now.is_indispensable = kept_;
    // The stable path hands a record without the stable flag over to the guarded one, at each read.
    now.guarded = guarded() || !every_record_promises();
    now.forced = forced_;
    now.revoked = revoked_;
    now.alone = alone();
    now.tsc_read = has_rdtscp_ ? "rdtscp" : "lfence";
    now.is_kvm_clock = is_kvm_clock();
    now.vdso = vdso() == Vdso::kOn && !promises(*records_.of(0)) ? Vdso::kPromiseGone : vdso();
    now.page_is_kept = records_.cpu0_page_is_kept();
    now.cpu0_wakes = x86::load(cpu0_wakes_);
    now.now_ns = now_ns();
    now.guard_last_ns = clock_read::guard.last_ns();
    for (const u32 cpu : possible_cpus()) add_counts(now, *linux_cpu(cpu));
    return now;
}

}  // namespace kvmpv
