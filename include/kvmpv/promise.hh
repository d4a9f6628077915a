// SPDX-License-Identifier: GPL-2.0-only
//
// Does the host keep its promise that all CPUs' clocks agree? Judged from one look after another,
// each at one CPU's clock.
//
// What speaks against it is a look that finds the clock behind what an earlier one saw on another
// CPU, or that differs from what that CPU's record says of the same moment. But a host may set the
// clock anew for all CPUs at once, and then the clock is behind what it was, on all CPUs alike. So
// a fall counts only where no update lies between the two looks; one with an update between is
// taken for the host's. And what is found once may be over: the guard costs user space its clock
// until the module is loaded anew, so a CPU has to be found wrong at two looks in a row.

#pragma once

#include "kvmpv/disruption.hh"

namespace kvmpv {

// What the looks at one CPU have found so far.
struct PromiseOfCpu {
    u64 look;      // the number of the last one, among all CPUs'; 0: none
    u8 disagreed;  // how many in a row have found this CPU's clock wrong
    u8 fell;       // how many in a row were behind, with an update between
};

class Promise {
public:
    // Looks in a row.
    static constexpr u8 kDisagreementsToBreak = 2;
    // A host that sets the clock of one CPU back at every look keeps no promise either.
    static constexpr u8 kFallsToBreak = 3;

    // A look at `cpu`: what it found `before`, what it finds `now`, and what the clock shows there
    // right after. Every look, in their order. By how much the promise is broken; 0 while it is
    // not.
    u64 judge(u32 cpu, PromiseOfCpu& own, const ClockSample& before, const ClockSample& now,
              u64 now_ns) {
        const bool unchanged = own.look && now.same_update(before);
        const u64 fall_ns = now_ns < largest_ns_ ? largest_ns_ - now_ns : 0;
        // Ours is the same as at our last look, so the host has set nothing since; or it is the one
        // by which the largest was shown.
        const bool comparable = unchanged || now.same_update(by_);
        u64 wrong_by_ns = comparable ? fall_ns : 0;
        if (unchanged && looks_ > own.look && last_cpu_ != cpu) {
            const u64 ns = disagreement_ns(now, last_);
            if (ns > wrong_by_ns) wrong_by_ns = ns;
        }
        const bool wrong = wrong_by_ns > kStableDisagreementNs;
        const bool fell = !comparable && fall_ns > kStableDisagreementNs;
        own.disagreed = wrong ? up(own.disagreed) : comparable ? u8{0} : own.disagreed;
        own.fell = fell ? up(own.fell) : u8{0};
        // After a fall that is the host's, that is where the clock goes on.
        if (now_ns > largest_ns_ || fell) {
            largest_ns_ = now_ns;
            by_ = now;
        }
        last_ = now;
        last_cpu_ = cpu;
        own.look = ++looks_;
        if (own.disagreed >= kDisagreementsToBreak) return wrong_by_ns;
        return own.fell >= kFallsToBreak ? fall_ns : 0;
    }

    // The clock begins anew.
    void forget_largest() { largest_ns_ = 0; }

private:
    static constexpr u8 up(u8 count) { return count < 0xff ? static_cast<u8>(count + 1) : count; }

    u64 looks_ = 0;
    ClockSample last_;  // the last look's, and whose it was
    u32 last_cpu_ = 0;
    u64 largest_ns_ = 0;  // that any CPU's clock has shown, in the order of the looks
    ClockSample by_;      // the record by which it was
};

}  // namespace kvmpv
