// SPDX-License-Identifier: GPL-2.0-only
//
// Does the host keep its promise that the clocks of all CPUs agree? This is judged from a series of
// looks, each at the clock of one CPU.
//
// Two findings speak against the host. A look finds the clock behind what an earlier look saw on
// another CPU, or it finds that the two records differ about the same moment. But the host may also
// set the clock back for all CPUs at once, and then every CPU is behind what was seen before. So a
// clock that is behind counts only if no update lies between the two looks. With an update in
// between, the host is taken to have set the clock.
//
// One finding is not enough, because it may be over already, and the guard that follows costs user
// space its clock until the module is loaded again. So a CPU has to be found wrong at two looks in
// a row.

#pragma once

#include "kvmpv/disruption.hh"

namespace kvmpv {

// What the looks at one CPU have found so far. Zeros: none yet.
struct PromiseOfCpu {
    u64 look;      // the number of this CPU's last look among those at all CPUs; 0: none yet
    u8 disagreed;  // how many looks in a row have found this CPU's clock wrong
    u8 fell;       // how many looks in a row have found it behind, with an update in between
};

// Takes no lock: the owner makes the looks one after another.
class Promise {
public:
    // How many looks in a row it takes.
    static constexpr u8 kDisagreementsToBreak = 2;
    // A host that sets one CPU's clock back before every look does not keep the promise either.
    static constexpr u8 kFallsToBreak = 3;

    // Judges a look at `cpu`: `before` and `now` are what the previous look at this CPU and this
    // one found, and now_ns is what the clock shows there right after. Has to be told of every
    // look, in order. Returns by how many ns the promise is broken, or 0 if it is not.
    u64 judge(u32 cpu, PromiseOfCpu& own, const ClockSample& before, const ClockSample& now,
              u64 now_ns) {
        const bool unchanged = own.look && now.same_update(before);
        const u64 fall_ns = now_ns < largest_ns_ ? largest_ns_ - now_ns : 0;
        // Two cases can be compared. Either this CPU's record is the same as at its last look, so
        // the host has not set this CPU's clock since. Or its update is the very one by which the
        // largest time was shown.
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
        // If the host has set the clock back, the clock goes on from there.
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

    // The clock starts anew, so no earlier time counts against the next look.
    void forget_largest() { largest_ns_ = 0; }

private:
    static constexpr u8 up(u8 count) { return count < 0xff ? static_cast<u8>(count + 1) : count; }

    u64 looks_ = 0;
    ClockSample last_;    // what the last look at any CPU found
    u32 last_cpu_ = 0;    // the CPU of that look
    u64 largest_ns_ = 0;  // the largest time that a look at any CPU has shown
    ClockSample by_;      // the record that showed it
};

}  // namespace kvmpv
