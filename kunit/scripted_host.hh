// SPDX-License-Identifier: GPL-2.0-only
//
// A host and a guest in plain memory: a GuardedMachine (pvclock.hh) for tests. Before every access
// of the code under test, a script may play the host: rewrite a record, in full or in half, move
// the thread to another CPU, or let time pass. The host knows the true time at every moment.

#pragma once

#include "kvmpv/pvclock.hh"

namespace kvmpv::testing {
namespace {

// How fast the host's clock runs: `ns` nanoseconds per `ticks` ticks of the TSC, and the multiplier
// and shift that say so in a record. They are literals and not computed: 0x80000000 is half of
// 2^32.
struct Rate {
    u64 ns;
    u64 ticks;
    u32 tsc_to_system_mul;
    s8 tsc_shift;
};

constexpr Rate kEven{1, 1, 0x8000'0000, 1};   // 1/2 * 2
constexpr Rate kSlow{1, 4, 0x8000'0000, -1};  // 1/2 / 2
constexpr Rate kFast{3, 1, 0xc000'0000, 2};   // 3/4 * 4

// Every span of ticks is a multiple of this, so that no rate above loses a fraction of a nanosecond
// and the expected times are exact.
constexpr u64 kTickUnit = 16;

class ScriptedHost {
public:
    static constexpr u32 kNumCpus = 2;
    static constexpr u64 kStartTsc = 1'000'000 * kTickUnit;
    static constexpr u64 kStartNs = 7'000'000'000;

    ScriptedHost() : ScriptedHost(kStartNs) {}
    explicit ScriptedHost(u64 start_ns) : line_{kEven, kStartTsc, start_ns} {
        for (u32 cpu = 0; cpu < kNumCpus; ++cpu) rewrite(cpu);
    }

    // ---- What the guest sees ------------------------------------------------------------------

    u32 cpu() const { return cpu_; }
    u64 tsc() const { return tsc_ + tsc_ahead_[cpu_]; }
    PvclockVcpuTimeInfo& record(u32 cpu) { return records_[cpu]; }
    const PvclockVcpuTimeInfo& record(u32 cpu) const { return records_[cpu]; }

    // ---- What is true -------------------------------------------------------------------------

    u64 true_ns() const {
        return line_.system_time + (tsc_ - line_.tsc_timestamp) / line_.rate.ticks * line_.rate.ns;
    }

    // ---- What the host does -------------------------------------------------------------------

    void pass(u64 ticks) { tsc_ += ticks; }
    void set_tsc(u64 tsc) { tsc_ = tsc; }

    // This CPU's TSC is ahead of the others' by `ticks`, and its record takes that into account.
    void set_tsc_ahead(u32 cpu, u64 ticks) {
        tsc_ahead_[cpu] = ticks;
        rewrite(cpu);
    }

    // The thread continues on `cpu`, and the kernel counts that it was switched away from. The host
    // brings a vCPU's record up to date before the vCPU runs.
    void run_on(u32 cpu) {
        if (interrupts_off_) {
            ++moves_refused_;
            return;
        }
        if (half_written_ && half_written_cpu_ == cpu) end_rewrite();
        if (known_[cpu] != changes_) rewrite(cpu);
        if (cpu_ != cpu) ++switches_;
        cpu_ = cpu;
    }

    // Steps the clock forward by `forward_ns`; from then on it runs at `rate`. The host stops the
    // running CPU for that and updates its record. The other CPUs are halted, and their records
    // stay as they are.
    void change_clock(const Rate& rate, u64 forward_ns = 0) {
        line_ = {rate, tsc_, true_ns() + forward_ns};
        ++changes_;
        rewrite(cpu_);
    }

    // The clock shows `now_ns` and runs at `rate` from now on. No record says so yet.
    void set_clock(const Rate& rate, u64 now_ns) { line_ = {rate, tsc_, now_ns}; }

    // Writes one record again, from the same clock.
    void rewrite(u32 cpu) {
        begin_rewrite(cpu);
        end_rewrite();
    }

    // Does the first half of a rewrite: the version is odd, and the lower halves of 64-bit numbers
    // are new.
    void begin_rewrite(u32 cpu) {
        end_rewrite();
        half_written_ = true;
        half_written_cpu_ = cpu;
        next_ = {0,
                 0,
                 tsc_ + tsc_ahead_[cpu],
                 true_ns(),
                 line_.rate.tsc_to_system_mul,
                 line_.rate.tsc_shift,
                 flags_,
                 {}};
        known_[cpu] = changes_;
        PvclockVcpuTimeInfo& record = records_[cpu];
        ++record.version;
        record.tsc_timestamp = lower_half_of(next_.tsc_timestamp, record.tsc_timestamp);
        record.system_time = lower_half_of(next_.system_time, record.system_time);
        record.tsc_to_system_mul = next_.tsc_to_system_mul;
    }

    void end_rewrite() {
        if (!half_written_) return;
        half_written_ = false;
        PvclockVcpuTimeInfo& record = records_[half_written_cpu_];
        const u32 version = record.version + 1;
        record = next_;
        record.version = version;
    }

    // The flags of every record that is written from now on.
    void set_flags(u8 flags) { flags_ = flags; }

    void set_versions(u32 version) {
        for (PvclockVcpuTimeInfo& record : records_) record.version = version;
    }

    // Ends what the script has begun: every record is whole and its version is even.
    void settle() {
        end_rewrite();
        for (PvclockVcpuTimeInfo& record : records_) record.version &= ~u32{1};
    }

    bool interrupts_off() const { return interrupts_off_; }
    void set_interrupts_off(bool off) { interrupts_off_ = off; }
    u32 moves_refused() const { return moves_refused_; }
    u64 switches() const { return switches_; }

private:
    struct ClockLine {
        Rate rate;
        u64 tsc_timestamp;
        u64 system_time;
    };

    static constexpr u64 lower_half_of(u64 lower, u64 upper) {
        return (upper & 0xffff'ffff'0000'0000) | (lower & 0xffff'ffff);
    }

    ClockLine line_;
    PvclockVcpuTimeInfo records_[kNumCpus]{};
    u32 known_[kNumCpus]{};  // how many changes of the clock this CPU's record reflects
    u32 changes_ = 0;
    u64 tsc_ = kStartTsc;
    u64 tsc_ahead_[kNumCpus]{};
    u32 cpu_ = 0;
    u8 flags_ = kPvclockTscStable;
    bool half_written_ = false;
    u32 half_written_cpu_ = 0;
    PvclockVcpuTimeInfo next_{};
    bool interrupts_off_ = false;
    u32 moves_refused_ = 0;
    u64 switches_ = 0;
};

// The kinds of access that the code under test makes. trace() shows each as a letter: "PVTFFFFFPV".
enum class Access : char {
    kThread = 'S',
    kPointer = 'P',
    kVersion = 'V',
    kTsc = 'T',
    kField = 'F'
};

constexpr auto kUndisturbed = [](u32) {};

// `script(n)` runs before the n-th access, from 0.
template <class Script>
class ScriptedMachine {
public:
    // More accesses than any bounded read makes. A reader that gets here would go on for ever. So
    // the script stops and the host settles. The reader then ends, and the case can report it.
    static constexpr u32 kAccessLimit = 20'000;
    static constexpr u32 kTraceLength = 64;

    ScriptedMachine(ScriptedHost& host, Script script) : host_(host), script_(script) {}

    // ---- GuardedMachine (pvclock.hh) ------------------------------------------------------------

    template <class T>
    T load(const T& shared) {
        before(is_version(&shared) ? Access::kVersion : Access::kField);
        return shared;
    }
    void barrier() {}

    const PvclockVcpuTimeInfo* this_cpu_record() {
        before(Access::kPointer);
        return record_of_[host_.cpu()] ? record_of_[host_.cpu()] : &host_.record(host_.cpu());
    }
    bool is_this_cpu_record(const PvclockVcpuTimeInfo* record) {
        return this_cpu_record() == record;
    }
    const PvclockVcpuTimeInfo* fallback_record() { return &host_.record(fallback_cpu_); }

    ThreadHere thread_here() {
        before(Access::kThread);
        return {&host_, host_.switches()};
    }
    bool is_still_here(const ThreadHere& then) {
        before(Access::kThread);
        return then.switches == host_.switches();
    }

    u64 ordered_tsc() {
        before(Access::kTsc);
        true_ns_at_tsc_ = host_.true_ns();
        return host_.tsc();
    }

    bool irq_save() {
        const bool was_off = host_.interrupts_off();
        host_.set_interrupts_off(true);
        return was_off;
    }
    void irq_restore(bool was_off) { host_.set_interrupts_off(was_off); }

    void count(ClockCounter counter) { ++counts_[static_cast<unsigned>(counter)]; }
    void held_back(u64 ns) {
        if (ns > largest_held_back_ns_) largest_held_back_ns_ = ns;
    }
    bool stable_offered() const { return stable_offered_; }
    u64 latest_ns() { return true_pace_ ? host_.true_ns() : ~u64{0}; }

    // ---- Settings -------------------------------------------------------------------------------

    void set_ticks_per_access(u64 ticks) { ticks_per_access_ = ticks; }
    void set_record(u32 cpu, const PvclockVcpuTimeInfo* record) { record_of_[cpu] = record; }
    void set_fallback_cpu(u32 cpu) { fallback_cpu_ = cpu; }
    void set_stable_offered(bool offered) { stable_offered_ = offered; }
    // The guest can tell how much time has passed. Otherwise latest_ns() allows any time.
    void set_true_pace(bool pace) { true_pace_ = pace; }

    // The next read starts at access 0 again. The counters keep their values.
    void rewind() { accesses_ = 0; }

    // ---- Findings -------------------------------------------------------------------------------

    u32 accesses() const { return accesses_; }
    bool ended_by_itself() const { return ended_by_itself_; }
    u64 true_ns_at_tsc() const { return true_ns_at_tsc_; }
    u32 accesses_with_interrupts_on() const { return accesses_with_interrupts_on_; }
    u64 largest_held_back_ns() const { return largest_held_back_ns_; }

    u64 count_of(ClockCounter counter) const { return counts_[static_cast<unsigned>(counter)]; }
    u64 counted() const {
        u64 sum = 0;
        for (const u64 count : counts_) sum += count;
        return sum;
    }

    // The first kTraceLength accesses in order, one letter each.
    const char* trace() const { return trace_; }

private:
    void before(Access access) {
        if (!host_.interrupts_off()) ++accesses_with_interrupts_on_;
        if (accesses_ < kAccessLimit) {
            host_.pass(ticks_per_access_);
            script_(accesses_);
        } else {
            ended_by_itself_ = false;
            host_.settle();
        }
        if (accesses_ < kTraceLength) trace_[accesses_] = static_cast<char>(access);
        ++accesses_;
    }

    bool is_version(const void* address) const {
        for (u32 cpu = 0; cpu < ScriptedHost::kNumCpus; ++cpu) {
            if (address == &host_.record(cpu).version) return true;
            if (record_of_[cpu] && address == &record_of_[cpu]->version) return true;
        }
        return false;
    }

    ScriptedHost& host_;
    Script script_;
    const PvclockVcpuTimeInfo* record_of_[ScriptedHost::kNumCpus]{};
    u32 fallback_cpu_ = 0;
    bool stable_offered_ = true;
    bool true_pace_ = false;
    u64 ticks_per_access_ = 100 * kTickUnit;
    u32 accesses_ = 0;
    bool ended_by_itself_ = true;
    u32 accesses_with_interrupts_on_ = 0;
    u64 true_ns_at_tsc_ = 0;
    u64 counts_[kNumClockCounters]{};
    u64 largest_held_back_ns_ = 0;
    char trace_[kTraceLength + 1]{};
};

static_assert(GuardedMachine<ScriptedMachine<decltype(kUndisturbed)>>);

// Numbers that look random and are the same in every run.
class Xorshift {
public:
    explicit constexpr Xorshift(u64 seed) : state_(seed) {}
    constexpr u64 next() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return state_;
    }

private:
    u64 state_;
};

}  // namespace
}  // namespace kvmpv::testing
