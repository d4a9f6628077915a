// SPDX-License-Identifier: GPL-2.0-only
//
// The clock's read callbacks in the guest that runs this, on all CPUs at once, against the kernel's
// own kvmclock code. Every CPU has its record, but the clocksource is not registered.

#include "../src/clock/clock.hh"
#include "../src/base/cpus.hh"
#include "../src/slot/slots.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

constexpr u32 kReadsPerCpu = 100'000;

// How often the CPUs wait for each other. Without that, one could be done before another has begun.
// On a host with a single CPU each meeting takes a few milliseconds, so there are not more.
constexpr u32 kMeetings = 50;

// How often a reader is moved to another CPU.
constexpr u32 kMoves = 100;

// ---- What kind of host this is ----------------------------------------------------------------

enum class HostKind : u8 {
    kStable,    // every record has the stable flag, and CPUID offers it
    kUnstable,  // a record lacks the stable flag
    kNotMeant,  // every record has the flag, but CPUID does not offer it, so it means nothing
};

HostKind host_kind() {
    for (const u32 cpu : online_cpus())
        if (!(linux_test_record_flags(cpu) & kPvclockTscStable)) return HostKind::kUnstable;
    return linux_test_cpuid_offers_stable() ? HostKind::kStable : HostKind::kNotMeant;
}

const char* name_of(HostKind kind) {
    switch (kind) {
        case HostKind::kStable: return "stable: CPUID offers the stable bit, every record has it";
        case HostKind::kUnstable: return "unstable: a record lacks the stable bit";
        case HostKind::kNotMeant: return "unstable: CPUID does not offer the stable bit";
    }
    return "?";
}

// ---- What is read -----------------------------------------------------------------------------

struct Callback {
    const char* name;
    kvmpv_clock_read_fn read;
    bool is_stable_path;
    bool is_rdtscp;
};

constexpr Callback kStableLfence{"stable_lfence", kvmpv_clock_read_stable_lfence, true, false};
constexpr Callback kStableRdtscp{"stable_rdtscp", kvmpv_clock_read_stable_rdtscp, true, true};
constexpr Callback kGuardedLfence{"guarded_lfence", kvmpv_clock_read_guarded_lfence, false, false};
constexpr Callback kGuardedRdtscp{"guarded_rdtscp", kvmpv_clock_read_guarded_rdtscp, false, true};

// Returns false, and skips the case, if this callback is never used in such a guest.
bool can_be_tried(Test& test, const Callback& callback) {
    if (callback.is_rdtscp && !linux_test_has_rdtscp()) {
        test.skip("this CPU has no RDTSCP");
        return false;
    }
    if (callback.is_stable_path && host_kind() == HostKind::kNotMeant) {
        test.skip("the stable path is not used where CPUID does not offer the stable bit");
        return false;
    }
    return true;
}

// ---- Threads that read ------------------------------------------------------------------------

enum Count : u8 {
    kReads,
    kStalls,     // equal to the read before
    kHandovers,  // another thread had seen the latest time before this read
    kDisturbed,  // the host wrote the record between two reads, so they were not compared
    kNumCounts,
};

struct Counts {
    u64 of[kNumCounts]{};
};

// What the threads of one case find. Each adds its counts when it is done. The first wrong read is
// kept with all its numbers.
class Findings {
public:
    // A read of `actual` where anything from `low` to `high` was right.
    void wrong(u32 cpu, u64 low, u64 actual, u64 high) {
        if (__atomic_fetch_add(&wrong_, 1, __ATOMIC_RELAXED)) return;
        first_cpu_ = cpu;
        first_low_ = low;
        first_actual_ = actual;
        first_high_ = high;
    }
    void add(const Counts& counts) {
        for (u32 kind = 0; kind < kNumCounts; ++kind)
            __atomic_fetch_add(&counts_.of[kind], counts.of[kind], __ATOMIC_RELAXED);
    }
    u64 of(Count kind) const { return counts_.of[kind]; }

    // After all threads have ended. `what` says what is wrong with a wrong read.
    void report(Test& test, const char* name, const char* what, u64 expected_reads) const {
        test.equal("reads", of(kReads), expected_reads);
        if (!test.equal(what, wrong_, 0))
            test.note([&](LineWriter& out) {
                out << "first on CPU " << first_cpu_ << ": " << first_actual_ << " ns, right is "
                    << first_low_ << " to " << first_high_;
            });
        test.note([&](LineWriter& out) {
            out << name << ": " << of(kReads) << " reads, " << wrong_ << " " << what;
            if (of(kStalls)) out << ", " << of(kStalls) << " equal to the one before";
            if (of(kHandovers)) out << ", " << of(kHandovers) << " right after another CPU's";
            if (of(kDisturbed))
                out << ", " << of(kDisturbed) << " beside a record that the host was writing";
        });
    }

private:
    Counts counts_;
    u64 wrong_ = 0;
    u32 first_cpu_ = 0;
    u64 first_low_ = 0;
    u64 first_actual_ = 0;
    u64 first_high_ = 0;
};

constexpr u64 kNoLimit = ~u64{0};

// The latest time that any CPU has seen. A read may not be below what was seen before it began.
class Latest {
public:
    u64 seen() const { return __atomic_load_n(&ns_, __ATOMIC_ACQUIRE); }
    void see(u64 ns) {
        u64 before = seen();
        while (before < ns && !__atomic_compare_exchange_n(&ns_, &before, ns, false,
                                                           __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        }
    }

private:
    u64 ns_ = 0;
};

struct Job {
    const Callback* callback;
    Findings findings;
    Latest latest;
    u64 last_ns = 0;  // the last read on any CPU; under the lock
};

// A thread's view of its job.
struct Reader {
    Job& job;
    u32 cpu;
    u64 own_last_ns = 0;
    Counts counts{};

    u64 read() const { return job.callback->read(nullptr); }
    void wrong(u64 low, u64 actual, u64 high = kNoLimit) {
        job.findings.wrong(cpu, low, actual, high);
    }
};

// ---- One read ---------------------------------------------------------------------------------

// Stable: the read has to lie between two reads by native kvm-clock.
u64 read_between_native(Reader& reader) {
    const u64 before_ns = linux_test_native_read();
    const u64 ns = reader.read();
    const u64 after_ns = linux_test_native_read();
    if (ns < before_ns || ns > after_ns)
        reader.wrong(before_ns, ns, after_ns);
    else if (ns < reader.own_last_ns)
        reader.wrong(reader.own_last_ns, ns);
    return ns;
}

// All CPUs read at once and none waits. The read may not be below what any of them has seen before.
template <class Read>
u64 read_above_latest(Reader& reader, Read&& read) {
    Latest& latest = reader.job.latest;
    const u64 seen_ns = latest.seen();
    const u64 ns = read();
    if (seen_ns != reader.own_last_ns) ++reader.counts.of[kHandovers];
    if (ns < seen_ns) reader.wrong(seen_ns, ns);
    latest.see(ns);
    return ns;
}

u64 read_unlocked(Reader& reader) {
    return read_above_latest(reader, [&] { return reader.read(); });
}

// Unstable: the read may not be below this CPU's record, read just before, either. The host may
// stop the vCPU even with interrupts off. If it writes the record meanwhile, the record's time may
// go back, and the two reads cannot be compared.
u64 read_above_raw(Reader& reader) {
    return read_above_latest(reader, [&] {
        u32 version_before, version_after;
        const u64 state = linux_test_interrupts_off();
        const u64 raw_ns = linux_test_raw_record_read(&version_before);
        const u64 ns = reader.read();
        linux_test_raw_record_read(&version_after);
        linux_test_interrupts_on(state);
        if (version_before != version_after)
            ++reader.counts.of[kDisturbed];
        else if (ns < raw_ns)
            reader.wrong(raw_ns, ns);
        return ns;
    });
}

// The loop of kvm-unit-tests: one CPU at a time, and no read may be below the one before it.
u64 read_under_lock(Reader& reader) {
    linux_test_lock();
    const u64 last_ns = reader.job.last_ns;
    const u64 ns = reader.read();
    reader.job.last_ns = ns;
    linux_test_unlock();
    if (last_ns != reader.own_last_ns) ++reader.counts.of[kHandovers];
    if (ns < last_ns) reader.wrong(last_ns, ns);
    return ns;
}

// ---- Many reads -------------------------------------------------------------------------------

// kReadOnce(Reader&) makes one read with its check, and returns the time. next_round() is called
// kRounds times in between.
template <auto kReadOnce, u32 kRounds, class NextRound>
void read_many(Job& job, u32 cpu, NextRound&& next_round) {
    Reader reader{job, cpu};
    for (u32 i = 0; i < kReadsPerCpu; ++i) {
        if (i % (kReadsPerCpu / kRounds) == 0) next_round();
        const u64 ns = kReadOnce(reader);
        ++reader.counts.of[kReads];
        if (ns == reader.own_last_ns) ++reader.counts.of[kStalls];
        reader.own_last_ns = ns;
    }
    job.findings.add(reader.counts);
}

// What linux_test_on_each_cpu() or linux_test_while_moving() returned is not an error.
bool ran(Test& test, int result) {
    return test.equal("error from the threads", result < 0 ? result : 0, 0);
}

// On every CPU at once.
template <auto kReadOnce>
void read_on_all_cpus(kunit* handle, const Callback& callback, const char* what) {
    Test test(handle);
    if (!can_be_tried(test, callback)) return;
    Job job{&callback, {}, {}};
    const int cpus = linux_test_on_each_cpu(
        [](linux_test_crew* crew, void* context, u32 cpu) {
            read_many<kReadOnce, kMeetings>(*static_cast<Job*>(context), cpu,
                                            [&] { linux_test_meet(crew); });
        },
        &job);
    if (!ran(test, cpus)) return;
    job.findings.report(test, callback.name, what, u64{kReadsPerCpu} * static_cast<u32>(cpus));
    // After nearly every meeting some CPU finds a time that another one has seen.
    if (kReadOnce != read_between_native && cpus > 1)
        test.at_least("reads after another CPU's", job.findings.of(kHandovers), kMeetings / 2);
}

constexpr const char* kNotBetween = "not between two native reads";
constexpr const char* kBackwardSteps = "backward steps";

void agrees(kunit* handle, const Callback& callback) {
    if (host_kind() == HostKind::kStable)
        read_on_all_cpus<read_between_native>(handle, callback, kNotBetween);
    else
        read_on_all_cpus<read_above_raw>(handle, callback, "below an earlier read or the record");
}

void warp_locked(kunit* handle, const Callback& callback) {
    read_on_all_cpus<read_under_lock>(handle, callback, kBackwardSteps);
}

void warp_unlocked(kunit* handle, const Callback& callback) {
    read_on_all_cpus<read_unlocked>(handle, callback, kBackwardSteps);
}

// A thread that is moved from CPU to CPU while it reads. The fast path does not prevent that.
template <auto kReadOnce>
void read_while_moving(kunit* handle, const Callback& callback, const char* what) {
    Test test(handle);
    if (!can_be_tried(test, callback)) return;
    if (linux_next_online_cpu(linux_next_online_cpu(-1)) < 0) return test.skip("one CPU only");
    Job job{&callback, {}, {}};
    const int moves = linux_test_while_moving(
        [](linux_test_trip* trip, void* context) {
            read_many<kReadOnce, kMoves>(*static_cast<Job*>(context), 0,
                                         [&] { linux_test_move(trip); });
        },
        &job);
    if (!ran(test, moves)) return;
    job.findings.report(test, callback.name, what, kReadsPerCpu);
    test.at_least("moves", static_cast<u32>(moves), kMoves / 2);
    test.note([&](LineWriter& out) { out << "moved " << static_cast<u32>(moves) << " times"; });
}

void moving(kunit* handle, const Callback& callback) {
    if (host_kind() == HostKind::kStable)
        read_while_moving<read_between_native>(handle, callback, kNotBetween);
    else
        read_while_moving<read_unlocked>(handle, callback, kBackwardSteps);
}

u64 counted(ClockCounter counter) {
    u64 sum = 0;
    for (const u32 cpu : possible_cpus())
        sum += linux_cpu(cpu)->clock_count[static_cast<unsigned>(counter)];
    return sum;
}

void forget_counts() {
    for (const u32 cpu : possible_cpus())
        for (u64& count : linux_cpu(cpu)->clock_count) count = 0;
}

int refuse(const char* reason, int negative_errno) {
    linux_test_suite_error(reason);
    return negative_errno;
}

}  // namespace

// ---- The suite --------------------------------------------------------------------------------

extern "C" int kvmpv_test_clock_live_enter() {
    if (const Result<void> taken = slots.take(true, false); !taken.ok())
        return refuse("the live suite needs a KVM guest", taken.error().negative_errno());
    if (slots.clock.decision().mode == Mode::kOff)
        return refuse("the clock's slot can be neither shared nor taken", -kEnodev);
    if (linux_native_clock_rating() < 0)
        return refuse("the kernel's own kvm-clock was not found", -kEnodev);
    const kvmpv_parameters parameters{.clock = 1, .clock_rating = 0, .legacy = 0};
    if (const Result<void> created = clock.create(slots, parameters); !created.ok())
        return refuse("no memory for the records", created.error().negative_errno());
    forget_counts();
    if (const int error = linux_hotplug_enable(KVMPV_CLOCK); error) {
        clock.destroy();
        return refuse("the CPUs could not be given their records", error);
    }
    return 0;
}

extern "C" void kvmpv_test_clock_live_leave() {
    linux_hotplug_disable(KVMPV_CLOCK);
    clock.destroy();
}

KVMPV_TEST(clock_live, host) {
    Test test(handle);
    u32 cpus = 0;
    for (const u32 cpu : online_cpus()) {
        const void* const record = linux_cpu(cpu)->clock_record;
        u64 physical = 0;
        test.is_true("the CPU reads the record that the kernel names for it",
                     record == linux_native_clock_record(cpu, &physical));
        test.is_true("the host has written it",
                     static_cast<const PvclockVcpuTimeInfo*>(record)->version != 0);
        ++cpus;
    }
    test.equal("what CPUID offers, by our scan and by the kernel's",
               slots.kvm.has(Feature::KVM_FEATURE_CLOCKSOURCE_STABLE_BIT),
               linux_test_cpuid_offers_stable());
    test.note([&](LineWriter& out) {
        out << name_of(host_kind()) << "; " << cpus << " CPUs, clock "
            << mode_name(slots.clock.decision().mode) << ", "
            << (linux_test_has_rdtscp() ? "has RDTSCP" : "no RDTSCP");
    });
}

KVMPV_TEST(clock_live, agrees_stable_lfence) { agrees(handle, kStableLfence); }
KVMPV_TEST(clock_live, agrees_stable_rdtscp) { agrees(handle, kStableRdtscp); }
KVMPV_TEST(clock_live, agrees_guarded_lfence) { agrees(handle, kGuardedLfence); }
KVMPV_TEST(clock_live, agrees_guarded_rdtscp) { agrees(handle, kGuardedRdtscp); }

KVMPV_TEST(clock_live, moving_stable_lfence) { moving(handle, kStableLfence); }
KVMPV_TEST(clock_live, moving_stable_rdtscp) { moving(handle, kStableRdtscp); }
KVMPV_TEST(clock_live, moving_guarded_lfence) { moving(handle, kGuardedLfence); }
KVMPV_TEST(clock_live, moving_guarded_rdtscp) { moving(handle, kGuardedRdtscp); }

KVMPV_TEST(clock_live, warp_locked_stable_lfence) { warp_locked(handle, kStableLfence); }
KVMPV_TEST(clock_live, warp_locked_stable_rdtscp) { warp_locked(handle, kStableRdtscp); }
KVMPV_TEST(clock_live, warp_locked_guarded_lfence) { warp_locked(handle, kGuardedLfence); }
KVMPV_TEST(clock_live, warp_locked_guarded_rdtscp) { warp_locked(handle, kGuardedRdtscp); }

KVMPV_TEST(clock_live, warp_unlocked_stable_lfence) { warp_unlocked(handle, kStableLfence); }
KVMPV_TEST(clock_live, warp_unlocked_stable_rdtscp) { warp_unlocked(handle, kStableRdtscp); }
KVMPV_TEST(clock_live, warp_unlocked_guarded_lfence) { warp_unlocked(handle, kGuardedLfence); }
KVMPV_TEST(clock_live, warp_unlocked_guarded_rdtscp) { warp_unlocked(handle, kGuardedRdtscp); }

// ---- The guard with all CPUs at it ------------------------------------------------------------

namespace {

// All that the guard alone needs of a machine.
struct CountingMachine {
    u64 held_back_count = 0;
    void count(ClockCounter) { ++held_back_count; }
    void held_back(u64) {}
    u64 latest_ns() { return std::numeric_limits<u64>::max(); }
};

struct GuardJob {
    MonotonicGuard guard;
    Latest latest;
    Findings findings;
    u64 held_back = 0;
};

// Every CPU offers times that rise by this much, and no two CPUs offer the same time.
constexpr u64 kGuardStep = 1 << 16;

void advance_many(linux_test_crew* crew, void* context, u32 cpu) {
    GuardJob& job = *static_cast<GuardJob*>(context);
    CountingMachine machine;
    Counts counts;
    u64 own_last_ns = 0;
    for (u32 i = 0; i < kReadsPerCpu; ++i) {
        if (i % (kReadsPerCpu / kMeetings) == 0) linux_test_meet(crew);
        const u64 offered_ns = i * kGuardStep + cpu + 1;
        const u64 seen_ns = job.latest.seen();
        const u64 ns = job.guard.advance(machine, offered_ns);
        ++counts.of[kReads];
        if (seen_ns != own_last_ns) ++counts.of[kHandovers];
        if (ns == own_last_ns) ++counts.of[kStalls];
        if (ns < offered_ns || ns < seen_ns) job.findings.wrong(cpu, seen_ns, ns, kNoLimit);
        job.latest.see(ns);
        own_last_ns = ns;
    }
    __atomic_fetch_add(&job.held_back, machine.held_back_count, __ATOMIC_RELAXED);
    job.findings.add(counts);
}

}  // namespace

KVMPV_TEST(clock_live, guard_shared_by_all_cpus) {
    Test test(handle);
    GuardJob job;
    const int cpus = linux_test_on_each_cpu(advance_many, &job);
    if (!ran(test, cpus)) return;
    test.equal("steps to the largest time offered", job.guard.last_ns() / kGuardStep,
               kReadsPerCpu - 1);
    job.findings.report(test, "guard alone", "below an earlier answer or the time offered",
                        u64{kReadsPerCpu} * static_cast<u32>(cpus));
    test.note([&](LineWriter& out) { out << "held back " << job.held_back << " times"; });
}

// ---- After all that ---------------------------------------------------------------------------

// A host that follows the protocol gives no reason to disbelieve a record.
KVMPV_TEST(clock_live, nothing_disbelieved) {
    Test test(handle);
    test.equal("torn", counted(ClockCounter::kTorn), 0);
    test.equal("impossible shifts", counted(ClockCounter::kBadShift), 0);
    test.equal("not ready", counted(ClockCounter::kNotReady), 0);
    test.equal("timestamps ahead of the TSC", counted(ClockCounter::kTscBehind), 0);
    test.note([&](LineWriter& out) {
        out << "held back " << counted(ClockCounter::kHeldBack)
            << " times, which is right where two CPUs read at once";
    });
}

// ---- A CPU that has no record yet -------------------------------------------------------------

namespace {

constexpr u32 kReadsWithoutRecord = 1000;

struct WithoutRecordJob {
    u64 not_ready = 0;
    u64 outside = 0;  // reads that were not between the two native reads around them
    u64 moved = 0;    // reads that were not the guard's last time
};

void read_without_record(linux_test_crew*, void* context, u32 cpu) {
    if (static_cast<int>(cpu) != linux_next_online_cpu(-1)) return;
    WithoutRecordJob& job = *static_cast<WithoutRecordJob*>(context);
    auto& state = *linux_cpu(cpu);
    const void* const record = state.clock_record;
    u64& not_ready = state.clock_count[static_cast<unsigned>(ClockCounter::kNotReady)];
    const u64 not_ready_before = not_ready;

    const u64 last_ns = kvmpv_clock_read_guarded_lfence(nullptr);
    __atomic_store_n(&state.clock_record, static_cast<const void*>(kvmpv_no_clock_record),
                     __ATOMIC_RELEASE);
    for (u32 i = 0; i < kReadsWithoutRecord; ++i) {
        const u64 before_ns = linux_test_native_read();
        const u64 ns = kvmpv_clock_read_stable_lfence(nullptr);
        const u64 after_ns = linux_test_native_read();
        job.outside += ns < before_ns || ns > after_ns;
        job.moved += ns != last_ns;
    }
    __atomic_store_n(&state.clock_record, record, __ATOMIC_RELEASE);
    job.not_ready = not_ready - not_ready_before;
}

}  // namespace

KVMPV_TEST(clock_live, cpu_without_record) {
    Test test(handle);
    const HostKind kind = host_kind();
    WithoutRecordJob job;
    const int cpus = linux_test_on_each_cpu(read_without_record, &job);
    if (!ran(test, cpus)) return;
    test.equal("reads counted as not ready", job.not_ready, kReadsWithoutRecord);
    if (kind == HostKind::kStable)
        test.equal("by another CPU's record: not between two native reads", job.outside, 0);
    else
        test.equal("no record to believe: not the last value", job.moved, 0);
}

KVMPV_SUITE(clock_live);
