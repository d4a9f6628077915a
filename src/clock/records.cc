// SPDX-License-Identifier: GPL-2.0-only
//
// The clock: which record each CPU reads, in each mode, and through CPU hotplug and suspend.

#include "clock/clock.hh"

#include "base/cpus.hh"
#include "base/followers.hh"
#include "base/irqs.hh"
#include "clock/clock_read.hh"
#include "kvmpv/x86.hh"

namespace kvmpv {

const PvclockVcpuTimeInfo* Clock::record_of(u32 cpu) const {
    if (owned()) return static_cast<const PvclockVcpuTimeInfo*>(owned_slots_.address_of(cpu));
    u64 physical;
    const void* record = linux_native_clock_record(cpu, &physical);
    return record ? static_cast<const PvclockVcpuTimeInfo*>(record) : clock_read::no_record();
}

void Clock::set_record(u32 cpu, const PvclockVcpuTimeInfo* record) {
    __atomic_store_n(&linux_cpu(cpu)->clock_record, static_cast<const void*>(record),
                     __ATOMIC_RELEASE);
}

// The kernel may have records of its own, in a guest whose slots somebody has cleared. Then its own
// clocks still read them through this pointer. So the pointer is left alone there: we would end up
// leaving it null, and they would follow it.
void Clock::publish_record(u32 cpu, const void* record) {
    u64 physical;
    const void* named = linux_native_clock_record(cpu, &physical);
    if (!named || named == record_of(cpu) || named == kept_page())
        linux_native_clock_publish(cpu, record);
}

// While the kernel has a page for user space, ptp_kvm assumes that every CPU has a record, and
// follows the pointer. So the pointer of every possible CPU, also of one that was offline all the
// time, is left at the kept page's record, which stands still.
void Clock::leave_cpus() {
    kvmpv::leave_cpus(KVMPV_CLOCK);
    if (!kept_page()) return;
    for (const u32 cpu : possible_cpus()) publish_record(cpu, kept_page());
}

Result<void> Clock::create_records() {
    // An earlier load of the module may have left CPU 0's page behind, for the processes that have
    // it mapped.
    if (const void* left_behind = linux_vdso_page();
        left_behind && !linux_is_in_kernel_image(left_behind)) {
        owned_slots_.adopt_cpu0(left_behind);
    }
    return owned_slots_.create(*slots_);
}

// A pointer that is still null belongs to a CPU that has not come online yet, and will name our
// record.
bool Clock::kernel_names_our_records() const {
    for (const u32 cpu : possible_cpus()) {
        u64 physical;
        const void* named = linux_native_clock_record(cpu, &physical);
        if (named && named != record_of(cpu) && named != kept_page()) return false;
    }
    return true;
}

// Shared mode: native kvm-clock has given the CPU its record by now, and registers it before the
// CPU reads the clock.
void Clock::prepare_cpu(u32 cpu) {
    if (!owned()) set_record(cpu, record_of(cpu));
}

Result<void> Clock::online_cpu(u32 cpu) {
    if (owned()) {
        if (const Result<void> taken = owned_slots_.take(cpu); !taken.ok()) {
            owned_slots_.put_back(cpu);
            return taken;
        }
        set_record(cpu, record_of(cpu));
        publish_record(cpu, record_of(cpu));
    }
    add_fallback_record(record_of(cpu));
    if (enabled_) {
        const IrqsOff irqs_off;
        begin_time_here();
    }
    return {};
}

void Clock::down_cpu(u32 cpu) {
    clock_read::drop_base(*linux_cpu(cpu));
    // Readers first, so that nobody reads a record that is no longer written.
    if (clock_read::setup.fallback_record == record_of(cpu) ||
        clock_read::setup.second_record == record_of(cpu))
        choose_fallback_records(static_cast<s32>(cpu));
    if (!owned()) return;
    set_record(cpu, clock_read::no_record());
    publish_record(cpu, kept_page());
    owned_slots_.put_back(cpu);
}

void Clock::dead_cpu(u32 cpu) { set_record(cpu, clock_read::no_record()); }

// The host does not keep a halted vCPU's record up to date, so a CPU that goes offline cannot serve
// as a fallback.
void Clock::choose_fallback_records(s32 except_cpu) {
    const PvclockVcpuTimeInfo* chosen[2] = {clock_read::no_record(), clock_read::no_record()};
    u32 count = 0;
    for (const u32 cpu : online_cpus()) {
        if (static_cast<s32>(cpu) == except_cpu) continue;
        chosen[count++] = record_of(cpu);
        if (count == 2) break;
    }
    __atomic_store_n(&clock_read::setup.fallback_record, chosen[0], __ATOMIC_RELEASE);
    __atomic_store_n(&clock_read::setup.second_record, chosen[1], __ATOMIC_RELEASE);
}

void Clock::add_fallback_record(const PvclockVcpuTimeInfo* record) {
    const clock_read::Setup& setup = clock_read::setup;
    if (setup.fallback_record == clock_read::no_record())
        __atomic_store_n(&clock_read::setup.fallback_record, record, __ATOMIC_RELEASE);
    else if (setup.second_record == clock_read::no_record() && setup.fallback_record != record)
        __atomic_store_n(&clock_read::setup.second_record, record, __ATOMIC_RELEASE);
}

// True in suspend to idle. There the last CPU that goes idle suspends the clock, and the first one
// that wakes up, which may be another, resumes it. A slot that was cleared on the former would stay
// cleared.
bool Clock::other_cpus_are_up() { return linux_next_online_cpu(linux_next_online_cpu(-1)) >= 0; }

void Clock::suspend(u32 cpu) {
    if (owned() && !other_cpus_are_up()) owned_slots_.suspend(cpu);
}

// Timekeeping reads the clock right after this, and goes on from what it is told. That has to
// include the sleep, whose length the TSC may not tell. So the guard forgets its horizon.
void Clock::resume(u32 cpu) {
    if (other_cpus_are_up()) return;
    clock_read::guard.forget_horizon();
    if (owned() && !owned_slots_.resume(cpu).ok()) set_record(cpu, clock_read::no_record());
}

void Clock::restart() {
    if (!slots_ || !owned()) return;
    on_each_cpu([this](u32) { owned_slots_.disarm(); });
}

}  // namespace kvmpv
