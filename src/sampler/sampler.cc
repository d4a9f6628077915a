// SPDX-License-Identifier: GPL-2.0-only

#include "sampler/sampler.hh"

#include "base/cpus.hh"
#include "base/followers.hh"
#include "base/memory.hh"
#include "base/mutex.hh"
#include "clock/clock.hh"
#include "clock/clock_read.hh"
#include "clock/early_look.hh"
#include "events/events.hh"
#include "kvmpv/promise.hh"
#include "kvmpv/text.hh"
#include "x86.hh"
#include "steal/steal.hh"

namespace kvmpv::sampler {

namespace {

// Who asks for a look: the sampler's turn, or a tick or a reader in between.
enum class Turn : bool { kRegular, kEarly };

// What was seen last on a CPU.
struct CpuState {
    bool is_followed;  // the CPU is online
    const void* record;
    ClockSample sample;
    ClockSample judged;  // what the last regular look has found
    std::array<u64, kNumClockCounters> counted;
    u64 held_back_max_ns;
    PromiseOfCpu promise;
    bool too_far_ahead;  // what the record says cannot be true
};
static_assert(std::is_trivially_copyable_v<CpuState>);

constinit CpuState* states = nullptr;  // of all possible CPUs, while enabled

CpuState& state_of(u32 cpu) { return states[cpu]; }

// Under EventsLock, all of it.
struct Shared {
    Promise promise;
    ClockSample reported;  // the update that was reported last, by whichever CPU
    bool reported_any;
    bool reported_refusal;  // since the last sleep
    // What is to be done where it may sleep.
    u64 revoke_by_ns;
    u32 revoke_cpu;
    bool wakes_cpu0;
};
constinit Shared shared{};
constinit bool enabled = false;

// One look, and all that comes of it. What judges by several looks in a row counts regular ones
// only: early ones may follow each other within a microsecond, and what is found twice has to last.
class Look {
public:
    Look(u32 cpu, Turn turn) : cpu_(cpu), turn_(turn), state_(state_of(cpu)) {}

    void take() {
        struct kvmpv_cpu& own = *linux_cpu(cpu_);
        if (state_.record != own.clock_record) state_ = fresh(own);
        // Before the look: what the host writes later is not seen, and calls for another one.
        early_look::note_look(own);
        ClockMachine machine;
        now_ = kvmpv::look(machine, *clock_read::record_here(), state_.sample);
        updated_ = now_.known && state_.sample.known && !now_.same_update(state_.sample);
        note_record();
        note_refusal();
        note_counters(own);
        if (turn_ == Turn::kRegular) {
            check_pace();
            if (!clock.guarded()) check_promise();
            state_.judged = now_;
        }
        state_.sample = now_;
    }

    bool updated() const { return updated_; }
    // Also what another CPU has reported. It may have been taken off its CPU before it woke
    // anybody.
    bool found_any() const { return found_any_; }
    bool revokes() const { return revokes_; }

private:
    // Another record, or the first one. Nothing is known about it yet, and the counts so far belong
    // to the one before.
    static CpuState fresh(const struct kvmpv_cpu& own) {
        CpuState state{};
        state.is_followed = true;
        state.record = own.clock_record;
        for (u32 i = 0; i < kNumClockCounters; ++i)
            state.counted[i] = x86::load(own.clock_count[i]);
        state.held_back_max_ns = x86::load(own.clock_held_back_max_ns);
        return state;
    }

    void note(EventKind kind, s64 value, bool has_samples) {
        events.add({linux_monotonic_ns(), value, state_.sample, now_, cpu_, kind, has_samples});
    }

    // An update of the host's clock reaches every CPU's record. It is one event, of the CPU that
    // sees it first.
    void note_record() {
        const Disruptions found = compare(state_.sample, now_, clock.stable_offered());
        found_any_ = found.count() > 0;
        const bool reported = shared.reported_any && updated_ && now_.same_update(shared.reported);
        for (const Disruption& one : found) {
            if (one.kind == EventKind::kRecordTorn) continue;
            if (reported && one.kind <= EventKind::kStableGained) continue;
            note(one.kind, one.value, true);
        }
        if (!updated_ || !found.count()) return;
        shared.reported = now_;
        shared.reported_any = true;
    }

    void note_refusal() {
        if (!clock.alone() || shared.reported_refusal) return;
        shared.reported_refusal = true;
        note(EventKind::kRecordRefused, 0, false);
    }

    u64 counted_since(const struct kvmpv_cpu& own, ClockCounter counter) {
        const u32 at = static_cast<u32>(counter);
        const u64 count = x86::load(own.clock_count[at]);
        const u64 since = count - state_.counted[at];
        state_.counted[at] = count;
        return since;
    }

    // What the read path has found since the last look, even if it is over by now.
    void note_counters(const struct kvmpv_cpu& own) {
        const u64 torn_reads = counted_since(own, ClockCounter::kTorn);
        if (!state_.sample.torn && (now_.torn || torn_reads))
            note(EventKind::kRecordTorn, static_cast<s64>(torn_reads), false);

        const u64 held_back_ns = x86::load(own.clock_held_back_max_ns);
        if (held_back_ns < kHeldBackMinNs || held_back_ns / 2 < state_.held_back_max_ns) return;
        state_.held_back_max_ns = held_back_ns;
        note(EventKind::kHeldBack, static_cast<s64>(held_back_ns), false);
    }

    // A record may be further ahead than elapsed time allows. It is believed anyway if it was so at
    // the last look, too, and so is every other CPU's: then that is the host's clock.
    void check_pace() {
        if (!now_.can_tell_time()) return;
        struct kvmpv_cpu& own = *linux_cpu(cpu_);
        const u64 now_ns = now_.ns_at(now_.tsc);
        const bool first = own.clock_base_tsc == 0;
        const u64 latest_ns = clock_read::latest_ns_at(own, now_.tsc);
        const bool can_be = clock_read::guard.can_be(now_ns, latest_ns);
        const bool believed = can_be || (state_.too_far_ahead && every_cpu_is_ahead());
        state_.too_far_ahead = !believed;
        if (!believed) return;
        // A clock that is ahead by less is measured from the latest time that is possible.
        // Otherwise it could get further ahead at each look.
        const u64 base_ns = can_be && !first && now_ns > latest_ns ? latest_ns : now_ns;
        clock_read::set_base(own, now_.tsc, base_ns);
        clock_read::guard.move_horizon(base_ns);
        if (first || every_cpu_runs_as_fast()) clock_read::set_base_rate(own, now_);
    }

    // If all records have the same rate, it is the host's.
    bool every_cpu_runs_as_fast() const {
        return every_cpu([this](const CpuState& state) {
            return &state == &state_ || !state.sample.known || state.sample.same_rate(now_);
        });
    }
    static bool every_cpu_is_ahead() {
        return every_cpu([](const CpuState& state) { return state.too_far_ahead; });
    }

    // Of those that the sampler looks at each second.
    template <class Test>
    static bool every_cpu(Test test) {
        for (const u32 cpu : possible_cpus()) {
            const CpuState& state = state_of(cpu);
            if (state.record && !linux_cpu_is_isolated(cpu) && !test(state)) return false;
        }
        return true;
    }

    // The looks are in order, because the lock is held and no TSC is read ahead of it.
    void check_promise() {
        const u64 now_ns = clock.now_ns();
        const u64 broken_by_ns =
            shared.promise.judge(cpu_, state_.promise, state_.judged, now_, now_ns);
        if (broken_by_ns) revoke(broken_by_ns);
        // On the stable path nothing else raises the guard, and it may have to take over later.
        clock_read::raise_guard(now_ns);
    }

    void revoke(u64 by_ns) {
        if (shared.revoke_by_ns) return;
        shared.revoke_cpu = cpu_;
        __atomic_store_n(&shared.revoke_by_ns, by_ns, __ATOMIC_RELEASE);
        revokes_ = true;
        note(EventKind::kStableRevoked, static_cast<s64>(by_ns), false);
    }

    const u32 cpu_;
    const Turn turn_;
    CpuState& state_;
    ClockSample now_;
    bool updated_ = false;
    bool found_any_ = false;
    bool revokes_ = false;
};

void forget(u32 cpu) {
    if (states) state_of(cpu) = {.is_followed = state_of(cpu).is_followed};
    clock_read::drop_base(*linux_cpu(cpu));
}

// After the last look. But resume() or a reader may still come.
void forget_all() {
    CpuState* const old = states;
    {
        const EventsLock lock;
        states = nullptr;
        shared = {};
    }
    linux_memory_destroy(old);
}

// What a look leaves to do, without the lock.
struct Rest {
    bool wakes_waiters;
    bool wakes_cpu0;
    bool revokes;
};

// On `cpu`, under EventsLock.
Rest look(u32 cpu, Turn turn) {
    if (!states || !state_of(cpu).is_followed) return {};
    const u64 events_before = events.ring().total();
    steal.sample(cpu);
    if (!clock.enabled()) return {events.ring().total() != events_before, false, false};
    Look look(cpu, turn);
    look.take();
    const bool wakes_cpu0 = look.updated() && cpu != 0 && clock.user_space_reads_cpu0();
    return {look.found_any() || events.ring().total() != events_before, wakes_cpu0, look.revokes()};
}

// Wakes who waits, and has the rest done where it may sleep.
void finish_early(Rest rest) {
    if (rest.wakes_waiters) linux_waiters_wake();
    if (rest.wakes_cpu0) __atomic_store_n(&shared.wakes_cpu0, true, __ATOMIC_RELEASE);
    if (rest.wakes_cpu0 || rest.revokes) linux_sampler_defer();
}

void log_revoked(u32 cpu, u64 by_ns) {
    LineBuffer<180> line;
    Writer<LineSink<180>> out(LineSink<180>{&line});
    out << "clock: CPU " << cpu << " is " << by_ns
        << " ns off what other CPUs show, on a host that promised a stable clock; guarded from now "
           "on";
    linux_log_warn(line.text());
}

}  // namespace

// An isolated CPU is left to the tasks of whoever isolated it. Only reads of the clock look at its
// record then, and a task there that reads or polls the events.
Result<void> online_cpu(u32 cpu) {
    {
        const EventsLock lock;
        state_of(cpu).is_followed = true;
    }
    if (linux_cpu_is_isolated(cpu)) return {};
    early_look::start(cpu);
    linux_sampler_start(cpu);
    return {};
}

void down_cpu(u32 cpu) {
    early_look::stop(cpu);
    linux_sampler_stop(cpu);
    const EventsLock lock;
    state_of(cpu) = {};
}

void resume(u32) {
    const EventsLock lock;
    for (const u32 cpu : possible_cpus()) forget(cpu);
    shared.promise.forget_largest();
    shared.reported_any = false;
    shared.reported_refusal = false;
}

Result<void> start(const kvmpv_parameters& parameters) {
    return parameters.switches[KVMPV_SAMPLING] ? set_on(true) : Result<void>();
}

void stop() { static_cast<void>(set_on(false)); }

bool is_on() { return enabled; }

Result<void> set_on(bool on) {
    const MutexLock lock(KVMPV_MUTEX_SAMPLER);
    if (on == enabled) return {};
    if (on) {
        auto* const memory = allocate<CpuState>(u64{last_possible_cpu()} + 1);
        if (!memory) return Error(-kEnomem);
        {
            const EventsLock events_lock;
            states = memory;
        }
        const Result<void> followed = follow_cpus(KVMPV_SAMPLER);
        enabled = followed.ok();
        if (!enabled) forget_all();
        return followed;
    }
    leave_cpus(KVMPV_SAMPLER);
    linux_sampler_finish();
    clock.let_go();
    forget_all();
    enabled = false;
    return {};
}

}  // namespace kvmpv::sampler

extern "C" void kvmpv_sample(u32 cpu) {
    namespace sampler = kvmpv::sampler;
    sampler::Rest rest;
    {
        const kvmpv::EventsLock lock;
        rest = sampler::look(cpu, sampler::Turn::kRegular);
    }
    if (rest.wakes_waiters) linux_waiters_wake();
    if (!kvmpv::clock.enabled()) return;
    if (rest.wakes_cpu0) kvmpv::clock.wake_cpu0();
    bool judges;
    if (rest.revokes || kvmpv::clock.kept() || linux_clocksource_is_watchdog(&judges) == 1)
        linux_sampler_defer();
}

extern "C" void kvmpv_look_early(u32 cpu) {
    namespace sampler = kvmpv::sampler;
    sampler::Rest rest;
    {
        const kvmpv::EventsLock lock;
        rest = sampler::look(cpu, sampler::Turn::kEarly);
    }
    sampler::finish_early(rest);
}

extern "C" u64 kvmpv_look_here() {
    namespace sampler = kvmpv::sampler;
    sampler::Rest rest;
    u64 total;
    {
        const kvmpv::EventsLock lock;
        rest = sampler::look(linux_this_cpu(), sampler::Turn::kEarly);
        total = kvmpv::events.ring().total();
    }
    sampler::finish_early(rest);
    return total;
}

extern "C" void kvmpv_sampler_deferred() {
    if (__atomic_exchange_n(&kvmpv::sampler::shared.wakes_cpu0, false, __ATOMIC_ACQUIRE))
        kvmpv::clock.wake_cpu0();
    kvmpv::clock.keep_while_indispensable();
    // Written once, before linux_sampler_defer() was called.
    const u64 revoke_by_ns =
        __atomic_load_n(&kvmpv::sampler::shared.revoke_by_ns, __ATOMIC_ACQUIRE);
    if (!revoke_by_ns || kvmpv::clock.revoked()) return;
    kvmpv::clock.revoke_stable();
    kvmpv::sampler::log_revoked(kvmpv::sampler::shared.revoke_cpu, revoke_by_ns);
}
