// SPDX-License-Identifier: GPL-2.0-only

#include "clock/wall_clock.hh"

#include "base/live_memory.hh"
#include "base/mutex.hh"
#include "clock/clock.hh"
#include "kvmpv/version_read.hh"
#include "slot/slots.hh"

namespace kvmpv {

constinit WallClock wall_clock;

namespace {

constexpr u64 kNsPerSecond = 1'000'000'000;

}  // namespace

Result<void> WallClock::start(const kvmpv_parameters&) {
    const std::optional<ClockMsrs> msrs = clock_msrs(slots.kvm_for_clock);
    if (!msrs) return {};
    msr_ = msrs->wall_clock;
    return Result<void>::from_errno(linux_area_create(sizeof(PvclockWallClock), &area_));
}

void WallClock::stop() {
    if (area_.address) linux_area_destroy(&area_);
    area_ = {};
}

// When the write returns the host has written its answer.
Result<void> WallClock::write_msr() {
    return Result<void>::from_errno(linux_wrmsr_here(static_cast<u32>(msr_), area_.physical));
}

// The address in the MSR is not a registration, so there is nothing to restore: writing an address
// only makes the host write there once more. Only the kernel's own address is put back. Then the
// MSR reads as before, and a host that writes to its last address later does so where it always
// could.
void WallClock::leave(u64 before) {
    const u64 after = before && before == linux_native_wall_clock_physical() ? before : 0;
    if (linux_wrmsr_here(static_cast<u32>(msr_), after))
        linux_log_err("wall clock: the MSR could not be cleared");
}

Result<u64> WallClock::epoch_ns() {
    if (!area_.address) return Error(-kEnodev);
    const PvclockWallClock& answer = *static_cast<const PvclockWallClock*>(area_.address);
    const MutexLock lock(KVMPV_MUTEX_WALL_CLOCK);

    u64 before = 0;
    Result<void> asked =
        Result<void>::from_errno(linux_rdmsr_here(static_cast<u32>(msr_), &before));
    const u32 old_version = x86::load(answer.version);
    u32 version = 0, seconds = 0, nanoseconds = 0;
    bool whole = false;
    if (asked.ok()) {
        asked = write_msr();
        LiveMemory machine;
        whole = version_read(machine, answer.version, [&] {
            version = x86::load(answer.version);
            seconds = x86::load(answer.sec);
            nanoseconds = x86::load(answer.nsec);
        });
        leave(before);
    }

    if (!asked.ok()) return asked.error();
    // If the version is the old one, the host has not written. If the nanoseconds exceed a second,
    // it has written something else.
    if (!whole || version == old_version || nanoseconds >= kNsPerSecond) return Error(-kEio);
    return seconds * kNsPerSecond + nanoseconds;
}

Result<WallClock::Answer> WallClock::ask() {
    const Result<u64> epoch = epoch_ns();
    if (!epoch.ok()) return epoch.error();
    Answer answer{epoch.value(), clock.enabled(), 0, 0};
    if (!answer.has_now) return answer;
    const u64 before_ns = linux_realtime_ns();
    answer.wall_now_ns = epoch.value() + clock.now_ns();
    const u64 after_ns = linux_realtime_ns();
    // The middle of two reads, so that the time that they take does not count as a difference.
    answer.realtime_ns = before_ns + (after_ns - before_ns) / 2;
    return answer;
}

}  // namespace kvmpv
