// SPDX-License-Identifier: GPL-2.0-only

#include "eoi/eoi.hh"

#include "base/followers.hh"
#include "base/irqs.hh"
#include "base/log.hh"
#include "base/mutex.hh"
#include "x86.hh"

namespace kvmpv {

constinit Eoi eoi;

namespace {

// The lines whose EOI KVM's IOAPIC has to see (arch/x86/kvm/ioapic.c): level-triggered lines, the
// real-time clock's line, and the timer's line, whose interrupt it may have to raise again.
constexpr u32 kIoapicLines = 24;
constexpr u32 kTimerLine = 0;
constexpr u32 kRtcLine = 8;

// The kernel's current clocksource is a device, which the host's kernel or QEMU emulates.
bool clock_read_is_exit() {
    char name[16];
    if (linux_clocksource_current_name(name, sizeof(name)) != 0) return false;
    return __builtin_strcmp(name, "hpet") == 0 || __builtin_strcmp(name, "acpi_pm") == 0;
}

u64 ioapic_interrupts(u32 cpu) {
    u64 sum = 0;
    for (u32 line = 0; line < kIoapicLines; ++line) {
        bool is_level = false;
        const u64 count = linux_ioapic_line_interrupts(line, cpu, &is_level);
        if (is_level || line == kTimerLine || line == kRtcLine) sum += count;
    }
    return sum;
}

// The word of one CPU. Used on that CPU.
struct LiveWord {
    Registration<EoiLayout>& slot;
    u32 cpu;
    bool for_good;

    bool test_and_clear() { return x86::this_cpu_test_and_clear_bit0<&kvmpv_cpu.eoi_word>(); }
    Result<void> give_up_slot() { return for_good ? slot.put_back(cpu) : slot.disarm(); }
};

}  // namespace

Result<void> Eoi::start(const kvmpv_parameters& parameters) {
    const Result<void> created = create(slots);
    return created.ok() && parameters.switches[KVMPV_EOI_HOOK] ? set_hooked(true) : created;
}

void Eoi::stop() {
    leave();
    destroy();
}

Result<void> Eoi::set_hooked(bool wanted) {
    const MutexLock lock(KVMPV_MUTEX_EOI);
    if (!created_) return Error(-kEinval);
    if (wanted == hooked()) return {};
    return wanted ? enable() : disable();
}

// Gives every possible CPU its word. Changes nothing in the kernel.
Result<void> Eoi::create(Slots& found) {
    slots_ = &found.eoi;
    linux_ioapic_lines_prepare();
    if (const Result<void> prepared = Result<void>::from_errno(linux_eoi_write_prepare());
        !prepared.ok())
        return prepared;
    const Result<void> words = owned() ? create_words() : find_native_words();
    if (!owned() && !words.ok())
        linux_log_err("eoi: the kernel's own words were not found where the MSRs say");
    created_ = words.ok();
    return words;
}

Result<void> Eoi::create_words() {
    // This kernel does not use KVM's callback. If its callback has been replaced all the same,
    // somebody ends interrupts by other means, such as Hyper-V's, which the same host may offer.
    // Our hook would bypass them.
    if (!linux_eoi_callback_is_plain()) {
        linux_log_err("eoi: the kernel ends interrupts by a callback that is not KVM's");
        return Error(-kEbusy);
    }
    if (const Result<void> created = owned_slots_.create(*slots_); !created.ok()) return created;
    for (const u32 cpu : possible_cpus()) linux_cpu(cpu)->eoi_word = owned_slots_.address_of(cpu);
    return {};
}

// Of every possible CPU, so that a CPU that comes online later has its word before its first
// interrupt.
Result<void> Eoi::find_native_words() {
    const CpusLock lock;
    for (const u32 cpu : possible_cpus()) {
        u64 physical = 0;
        linux_cpu(cpu)->eoi_word = linux_native_eoi_word(cpu, &physical);
        if (!physical) return Error(-kEnoent);
    }
    for (const u32 cpu : online_cpus())
        if (const Result<void> same = check_native_word(cpu); !same.ok()) return same;
    return {};
}

// An online CPU must have registered exactly its own word.
Result<void> Eoi::check_native_word(u32 cpu) {
    u64 physical = 0;
    linux_native_eoi_word(cpu, &physical);
    const Result<u64> slot = LiveKernel::rdmsr(cpu, slots_->msr());
    if (!slot.ok()) return slot.error();
    if (slot.value() != (physical | kMsrEnabled)) return Error(-kEio);
    return {};
}

void Eoi::destroy() {
    owned_slots_.destroy();
    created_ = false;
}

Result<void> Eoi::register_words() {
    if (!owned()) return {};
    const Result<void> followed = follow_cpus(KVMPV_EOI);
    registered_ = followed.ok();
    return followed;
}

Result<void> Eoi::enable() {
    for (const u32 cpu : possible_cpus()) {
        struct kvmpv_cpu& of_cpu = *linux_cpu(cpu);
        for (u64& count : of_cpu.eoi_count) count = 0;
        of_cpu.eoi_ioapic_base = ioapic_interrupts(cpu);
    }
    // The callback comes first: until the words are registered they read 0, so every EOI is
    // written. The other way round the host would set bits that nobody clears, and nothing would be
    // gained.
    if (const Result<void> hooked = hook_.hook(reinterpret_cast<const void*>(&kvmpv_eoi));
        !hooked.ok())
        return hooked;
    const Result<void> registered = register_words();
    if (!registered.ok()) leave();
    return registered;
}

// Slots before callback: while a word is registered, somebody has to clear it. Once the last slot
// has been given up, the callback finds every word 0 and writes every EOI. It may still be called
// until all CPUs have seen that it is unhooked. Only then may the words and the code go.
Result<void> Eoi::disable() {
    if (!hook_.on_top()) return Error(-kEbusy);
    if (registered_) leave_cpus(KVMPV_EOI);
    registered_ = false;
    const Result<void> unhooked = hook_.unhook();
    if (unhooked.ok()) return unhooked;
    // Another hook may have come on top in the meantime. Everything is put back as it was.
    if (const Result<void> again = register_words(); !again.ok())
        linux_log_err("eoi: the words could not be registered again; every EOI is written");
    return unhooked;
}

// For module exit, which cannot fail.
void Eoi::leave() {
    if (!hooked()) return;
    if (registered_) leave_cpus(KVMPV_EOI);
    registered_ = false;
    hook_.wait_until_on_top("eoi");
    while (!hook_.unhook().ok()) {
        // There was no memory to map the callback's pointer, or another hook came on top. Nothing
        // tells us when that has changed.
        linux_msleep(20);
        hook_.wait_until_on_top("eoi");
    }
}

Result<void> Eoi::online_cpu(u32 cpu) {
    const Result<void> taken = owned_slots_.take(cpu);
    if (!taken.ok()) give_up(cpu, true);
    return taken;
}

void Eoi::down_cpu(u32 cpu) { give_up(cpu, true); }

// Interrupts are off, so that none is injected and ended between the write to the slot and the test
// of the word.
void Eoi::give_up(u32 cpu, bool for_good) {
    LiveWord word{*slots_, cpu, for_good};
    const Result<bool> was_set = [&] {
        const IrqsOff irqs_off;
        return give_up_word(word);
    }();
    if (!was_set.ok()) {
        owned_slots_.keep(cpu, was_set.error());
    } else if (was_set.value()) {
        __atomic_fetch_add(&words_left_set_, 1, __ATOMIC_RELAXED);
        log_cpu_error("eoi", "the host left the word set", cpu, Error(-kEio));
    }
}

void Eoi::suspend(u32 cpu) {
    if (registered_) give_up(cpu, false);
}

void Eoi::resume(u32 cpu) {
    if (registered_) static_cast<void>(owned_slots_.resume(cpu));
}

void Eoi::restart() {
    if (registered_) on_each_cpu([this](u32 cpu) { give_up(cpu, false); });
}

EoiCounts Eoi::counts(u32 cpu) const {
    const struct kvmpv_cpu& from = *linux_cpu(cpu);
    const auto count = [&](EoiCounter counter) {
        return x86::load(from.eoi_count[static_cast<unsigned>(counter)]);
    };
    return {count(EoiCounter::kElided), count(EoiCounter::kWrittenBusy),
            count(EoiCounter::kWrittenIdle),
            grown_by(ioapic_interrupts(cpu), from.eoi_ioapic_base)};
}

Eoi::OfCpu Eoi::of_cpu(u32 cpu) const {
    const EoiCounts counted = counts(cpu);
    return {cpu, counted, why_few(counted, clock_read_is_exit())};
}

Eoi::State Eoi::state() const {
    State now{hooked(), {}, words_left_set_, {}};
    if (!now.hooked) return now;
    if (!hook_.on_top()) linux_symbol_name(linux_eoi_callback(), now.above, sizeof(now.above));
    for (const u32 cpu : possible_cpus()) now.counts += counts(cpu);
    return now;
}

}  // namespace kvmpv
