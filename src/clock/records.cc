// SPDX-License-Identifier: GPL-2.0-only

#include "clock/records.hh"

#include "base/cpus.hh"
#include "base/irqs.hh"
#include "boundary.h"
#include "clock/clock_read.hh"
#include "x86.hh"

namespace kvmpv {

namespace {

// What the kernel's own pointer names, or null.
const void* named_record(u32 cpu) {
    u64 physical;
    return linux_native_clock_record(cpu, &physical);
}

void let_read(u32 cpu, const PvclockVcpuTimeInfo* record) {
    __atomic_store_n(&linux_cpu(cpu)->clock_record, static_cast<const void*>(record),
                     __ATOMIC_RELEASE);
}

// For choose_fallbacks(): no CPU is excepted.
constexpr s32 kNobody = -1;

void add_fallback(const PvclockVcpuTimeInfo* record) {
    const clock_read::Setup& setup = clock_read::setup;
    if (setup.fallback_record == clock_read::no_record())
        __atomic_store_n(&clock_read::setup.fallback_record, record, __ATOMIC_RELEASE);
    else if (setup.second_record == clock_read::no_record() && setup.fallback_record != record)
        __atomic_store_n(&clock_read::setup.second_record, record, __ATOMIC_RELEASE);
}

}  // namespace

Result<void> ClockRecords::create(Registration<ClockLayout>& registration) {
    registration_ = &registration;
    alone_.end();
    clock_read::setup.fallback_record = clock_read::no_record();
    clock_read::setup.second_record = clock_read::no_record();
    for (const u32 cpu : possible_cpus()) let_read(cpu, clock_read::no_record());
    if (!owned()) return {};
    // An earlier load of the module may have left CPU 0's page behind, for the processes that have
    // it mapped.
    if (const void* left_behind = linux_vdso_page();
        left_behind && !linux_is_in_kernel_image(left_behind)) {
        owned_slots_.adopt_cpu0(left_behind);
    }
    return owned_slots_.create(registration);
}

const PvclockVcpuTimeInfo* ClockRecords::of(u32 cpu) const {
    if (owned()) return static_cast<const PvclockVcpuTimeInfo*>(owned_slots_.address_of(cpu));
    const void* const named = named_record(cpu);
    return named ? static_cast<const PvclockVcpuTimeInfo*>(named) : clock_read::no_record();
}

// The kernel may have records of its own, in a guest whose slots somebody has cleared. Then its own
// clocks still read them through this pointer. So the pointer is left alone there: we would end up
// leaving it null, and they would follow it.
void ClockRecords::publish(u32 cpu, const void* record) {
    const void* const named = named_record(cpu);
    if (!named || named == of(cpu) || named == kept_page()) linux_native_clock_publish(cpu, record);
}

// While the kernel has a page for user space, ptp_kvm assumes that every CPU has a record, and
// follows the pointer. So the pointer of every possible CPU, also of one that was offline all the
// time, is left at the kept page's record, which stands still.
void ClockRecords::leave() {
    if (!kept_page()) return;
    for (const u32 cpu : possible_cpus()) publish(cpu, kept_page());
}

// A pointer that is still null belongs to a CPU that has not come online yet, and will name our
// record.
bool ClockRecords::named_by_kernel() const {
    for (const u32 cpu : possible_cpus()) {
        const void* const named = named_record(cpu);
        if (named && named != of(cpu) && named != kept_page()) return false;
    }
    return true;
}

// Shared mode: native kvm-clock has given the CPU its record by now, and registers it before the
// CPU reads the clock.
void ClockRecords::prepare_cpu(u32 cpu) {
    if (!owned()) let_read(cpu, of(cpu));
}

Result<void> ClockRecords::take_slot(u32 cpu) {
    const Result<void> taken = owned_slots_.take(cpu);
    if (!taken.ok()) owned_slots_.put_back(cpu);
    return taken;
}

// The host does not write this CPU's record now.
void ClockRecords::write_record(u32 cpu) {
    auto& record = *static_cast<PvclockVcpuTimeInfo*>(owned_slots_.address_of(cpu));
    const IrqsOff irqs_off;
    alone_.write(record, x86::rdtsc(), clock_read::guard.last_ns());
}

// The readers on this CPU, and the kernel's own, read the CPU's record from now on, or no more.
void ClockRecords::let_everyone_read(u32 cpu, bool has_record) {
    let_read(cpu, has_record ? of(cpu) : clock_read::no_record());
    publish(cpu, has_record ? of(cpu) : kept_page());
}

Result<void> ClockRecords::online_cpu(u32 cpu) {
    if (owned()) {
        if (alone())
            write_record(cpu);
        else if (const Result<void> taken = take_slot(cpu); !taken.ok())
            return taken;
        let_everyone_read(cpu, true);
    }
    add_fallback(of(cpu));
    return {};
}

void ClockRecords::down_cpu(u32 cpu) {
    // Readers first, so that nobody reads a record that is no longer written.
    if (clock_read::setup.fallback_record == of(cpu) || clock_read::setup.second_record == of(cpu))
        choose_fallbacks(static_cast<s32>(cpu));
    if (!owned()) return;
    let_everyone_read(cpu, false);
    owned_slots_.put_back(cpu);
}

void ClockRecords::dead_cpu(u32 cpu) { let_read(cpu, clock_read::no_record()); }

// The host does not keep a halted vCPU's record up to date, so a CPU that goes offline cannot serve
// as a fallback; nor can one that has no slot, and itself reads another CPU's record.
void ClockRecords::choose_fallbacks(s32 except_cpu) {
    const PvclockVcpuTimeInfo* chosen[2] = {clock_read::no_record(), clock_read::no_record()};
    u32 count = 0;
    for (const u32 cpu : online_cpus()) {
        if (static_cast<s32>(cpu) == except_cpu) continue;
        if (clock_read::record_read_by(cpu) == clock_read::no_record()) continue;
        chosen[count++] = of(cpu);
        if (count == 2) break;
    }
    __atomic_store_n(&clock_read::setup.fallback_record, chosen[0], __ATOMIC_RELEASE);
    __atomic_store_n(&clock_read::setup.second_record, chosen[1], __ATOMIC_RELEASE);
}

void ClockRecords::suspend(u32 cpu, const ClockSample& record, u64 shown_ns) {
    if (!owned()) return;
    alone_.sleep(record, shown_ns);
    owned_slots_.suspend(cpu);
}

void ClockRecords::resume(u32 cpu) {
    if (!owned()) return;
    alone_.end();
    let_everyone_read(cpu, owned_slots_.resume(cpu).ok() || go_on_alone(cpu));
    choose_fallbacks(kNobody);
}

// The host has refused the slot of the only CPU that is online. Without a record time would stand
// still, and jump when another CPU brings one.
bool ClockRecords::go_on_alone(u32 cpu) {
    // The host may have written the slot all the same.
    owned_slots_.disarm();
    clock_read::guard.raise(alone_.shown_ns());
    if (!alone_.begin(x86::rdtsc())) {
        linux_log_err(
            "clock: no record after suspend, and none before it to go by; time stands still until "
            "another CPU has one");
        return false;
    }
    write_record(cpu);
    linux_log_warn(
        "clock: the host keeps no time for this guest after suspend; it continues by the TSC at "
        "the rate before, until the next sleep or load");
    return true;
}

void ClockRecords::restart() {
    if (!registration_ || !owned()) return;
    on_each_cpu([this](u32) { owned_slots_.disarm(); });
}

}  // namespace kvmpv
