// SPDX-License-Identifier: GPL-2.0-only

#include "migration/migration.hh"

#include "base/followers.hh"
#include "base/mutex.hh"

namespace kvmpv {

constinit Migration migration;

namespace {

// Calls function(cpu) on the CPU that writes the MSR, with interrupts off: around suspend that CPU
// does the same. Under CpusLock, or while a CPU goes or comes.
template <std::invocable<u32> Function>
void on_writer(Function function) {
    on_cpu(*online_cpus().begin(), function);
}

}  // namespace

Result<void> Migration::start(const kvmpv_parameters&) {
    const Result<void> followed = follow_cpus(KVMPV_MIGRATION);
    started_ = followed.ok();
    return followed;
}

void Migration::stop() {
    if (!started_) return;
    // Without the mutex, which the timer's call takes. Nobody can set it again: the files are gone.
    linux_hold_timer_stop();
    {
        const MutexLock lock(KVMPV_MUTEX_MIGRATION);
        hold_.end();
        allow_was_asked_ = false;
        put_back();
        started_ = false;
    }
    leave_cpus(KVMPV_MIGRATION);
}

Result<void> Migration::write(const MigrationWrite& wanted, const void* file) {
    const MutexLock lock(KVMPV_MUTEX_MIGRATION);
    if (!started_) return Error(-kEnodev);
    if (!hold_.is_free_for(file, linux_monotonic_ns())) return Error(-kEbusy);
    return wanted.hold_s ? hold(*wanted.hold_s, file) : allow();
}

Result<void> Migration::hold(u32 seconds, const void* file) {
    const Result<void> forbidden = set(0);
    if (!forbidden.ok()) {
        end_hold();
        return forbidden;
    }
    if (!hold_.is_of(file)) ++holds_;
    hold_.take(file, seconds, linux_monotonic_ns());
    linux_current_task(&holder_);
    linux_hold_timer_set(u64{seconds} * 1'000'000'000);
    return {};
}

Result<void> Migration::allow() {
    hold_.end();
    const Result<void> allowed = set(kMigrationAllowed);
    allow_was_asked_ = allowed.ok();
    if (!allowed.ok()) put_back();
    return allowed;
}

// What was there before, or what was asked for before. An error is in the log.
void Migration::end_hold() {
    hold_.end();
    if (allow_was_asked_)
        static_cast<void>(set(kMigrationAllowed));
    else
        put_back();
}

void Migration::closed(const void* file) {
    const MutexLock lock(KVMPV_MUTEX_MIGRATION);
    if (hold_.is_of(file)) end_hold();
}

// It may be another hold's time that has passed: the timer of one that has ended is left to run.
void Migration::hold_is_due() {
    const MutexLock lock(KVMPV_MUTEX_MIGRATION);
    if (!hold_.is_taken()) return;
    const u64 now_ns = linux_monotonic_ns();
    if (!hold_.is_over_by_timer(now_ns)) return linux_hold_timer_set(hold_.left_ns(now_ns));
    ++timed_out_;
    end_hold();
}

Result<void> Migration::set(u64 value) {
    const CpusLock cpus_lock;
    Result<void> done;
    on_writer([&](u32 cpu) {
        slot().want(cpu, value);
        done = slot().set_wanted(cpu);
    });
    return done;
}

void Migration::put_back() {
    const CpusLock cpus_lock;
    on_writer([](u32 cpu) {
        slot().want_nothing(cpu);
        slot().put_back(cpu);
    });
}

// No CPU but those that the hotplug lock is about is asked where nobody wants anything.
void Migration::set_again() {
    const u32 any_cpu = 0;
    if (slot().of(any_cpu).is_wanted) on_writer([](u32 cpu) { slot().set_again(cpu); });
}

// It may be the first one that is online, from now on.
Result<void> Migration::online_cpu(u32) {
    set_again();
    return {};
}

// The kernel has written 0 there, for the whole guest.
void Migration::dead_cpu(u32) { set_again(); }

// The kernel has written 0 by now on every CPU: its callback was registered earlier. In a guest
// with encrypted memory that shall stay so, because the next kernel has to tell the host its own
// pages before it may be moved. In others no kernel would ever write 1 again.
void Migration::restart() {
    const MutexLock lock(KVMPV_MUTEX_MIGRATION);
    if (!started_) return;
    hold_.end();
    allow_was_asked_ = false;
    if (linux_memory_is_encrypted()) return;
    {
        const CpusLock cpus_lock;
        set_again();
    }
    put_back();
}

Migration::State Migration::state() const {
    const MutexLock lock(KVMPV_MUTEX_MIGRATION);
    State now{};
    now.is_started = started_;
    if (!started_) return now;
    now.failures = slot().failures();
    now.holds = holds_;
    now.timed_out = timed_out_;
    const u64 now_ns = linux_monotonic_ns();
    now.left_ns = hold_.left_ns(now_ns);
    now.is_held = hold_.is_taken();
    now.held_until_ns = hold_.until_ns();
    now.holder = holder_;
    const CpusLock cpus_lock;
    on_writer([&](u32 cpu) {
        now.value = slot().of(cpu);
        now.msr = LiveKernel::rdmsr_here(slot().msr());
    });
    return now;
}

}  // namespace kvmpv

extern "C" void kvmpv_hold_is_due() { kvmpv::migration.hold_is_due(); }
