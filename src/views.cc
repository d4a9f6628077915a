// SPDX-License-Identifier: GPL-2.0-only
//
// What each file below /sys/kernel/debug/kvmpv says. The format is described in docs/debugfs.md:
// `version 1`, then tables with a header row; field names are stable.

#include "clock.hh"
#include "clock_read.hh"
#include "cold_machine.hh"
#include "events.hh"
#include "kvmpv/boundary.h"
#include "kvmpv/text.hh"
#include "kvmpv/x86.hh"
#include "survey.hh"
#include "wall_clock.hh"

namespace kvmpv {
namespace {

struct SeqSink {
    void* seq;
    void write(const char* text, u32 length) { linux_seq_write(seq, text, length); }
};

using Out = Writer<SeqSink>;

Out begin(void* seq) {
    Out out(SeqSink{seq});
    out << "version 1";
    out.end_line();
    return out;
}

const char* yes_no(bool value) { return value ? "yes" : "no"; }

// ---- status ----------------------------------------------------------------------------------

void write_of_cpus(Out& out, u32 count, const SlotSurvey& slots) {
    out << count << " of " << slots.cpus << " CPUs";
}

// Why, in words, with the numbers that support it.
void write_reason(Out& out, Reason reason, const SlotSurvey& slots, const char* feature) {
    switch (reason) {
        case Reason::kNotOffered: out << "CPUID does not offer " << feature; return;
        case Reason::kParameter: out << "disabled by a module parameter"; return;
        case Reason::kUnreadable:
            out << "the MSR could not be read on CPU " << slots.unreadable_cpu << ": error "
                << Signed{slots.unreadable_errno};
            return;
        case Reason::kUseUnknown:
            out << "enabled on ";
            write_of_cpus(out, slots.unknown, slots);
            out << ", but the kernel symbols that tell whose it is were not found";
            return;
        case Reason::kKernelSomeCpus:
            out << "the kernel uses it on only ";
            write_of_cpus(out, slots.kernel, slots);
            return;
        case Reason::kKernelAllCpus:
            out << "the kernel uses it on ";
            write_of_cpus(out, slots.kernel, slots);
            return;
        case Reason::kFree:
            out << "the kernel does not use it: free on ";
            write_of_cpus(out, slots.free, slots);
            return;
        case Reason::kForeign:
            out << "the kernel does not use it: foreign on ";
            write_of_cpus(out, slots.foreign, slots);
            out << " (CPU " << slots.foreign_cpu << " holds " << Hex{slots.foreign_value} << ")";
            return;
        case Reason::kNeverTaken: out << "shown in cpus only; never taken over"; return;
        case Reason::kStepFailed: out << "a step failed; see the kernel log"; return;
    }
}

template <class Registration>
void write_feature(Out& out, const char* name, const Registration& registration,
                   const char* cpuid_name, bool built) {
    const Decision& decision = registration.decision();
    // What is not built yet takes no slot, whatever it could do.
    const bool shown_only = !built && decision.mode != Mode::kOff;
    const Mode mode = shown_only && decision.mode == Mode::kOwned ? Mode::kOff : decision.mode;
    out << name;
    out.pad_to(10) << mode_name(mode);
    out.pad_to(18);
    write_reason(out, decision.reason, registration.survey(), cpuid_name);
    if (shown_only) out << "; shown only, not hooked";
    out.end_line();
}

// The one that the kernel would most likely have without us.
const char* other_clocksource() {
    return survey.clock.decision().mode == Mode::kShared ? "kvm-clock" : "hpet";
}

const char* vdso_text(Vdso vdso) {
    switch (vdso) {
        case Vdso::kOn: return "user space reads the clock without a system call";
        case Vdso::kParameter: return "by system call: disabled by the parameter vdso";
        case Vdso::kOwnedMode:
            return "by system call: in owned mode only with the parameter vdso=1";
        case Vdso::kNotStable: return "by system call: the host does not promise a stable clock";
        case Vdso::kNoPage: return "by system call: the kernel has no page to map for user space";
        case Vdso::kNoMappingBit: return "by system call: kernel symbol vclocks_used not found";
        case Vdso::kGuardOn:
            return "by system call: the guard is on, of which user space knows none";
    }
    return "";
}

void write_clocksource(Out& out) {
    static constexpr Column kColumns[] = {{"clocksource", 11}, {"rating", 6}, {"current", 7},
                                          {"released", 8},     {"path", 7},   {"tsc_read", 8}};
    if (!clock.enabled()) return;
    out.end_line();
    Table table(out, kColumns);
    table.cell("kvmpv")
        .cell(Signed{clock.rating()})
        .cell(yes_no(clock.current()))
        .cell(yes_no(clock.released()))
        .cell(clock.guarded() ? "guarded" : "stable")
        .cell(clock.uses_lfence() ? "lfence" : "rdtscp");
    (out << "vdso: " << vdso_text(clock.vdso())).end_line();
    if (clock.owned() && clock.vdso() == Vdso::kOn)
        (out << "The page that user space reads is never freed; the next load uses it again.")
            .end_line();
    if (clock.owned() && survey.clock.msr() == Msr::KVM_SYSTEM_TIME)
        (out << "The deprecated MSR 0x12 is in use, which switches the host's masterclock off: no "
                "stable clock.")
            .end_line();
    if (!clock.current()) return;
    (out << "While kvmpv is the current clocksource, rmmod answers EBUSY. To release it:")
        .end_line();
    (out << "  echo 1 > /sys/kernel/debug/kvmpv/clock/release").end_line();
    (out << "or, where current_clocksource was set to kvmpv by hand, write another name to it:")
        .end_line();
    (out << "  echo " << other_clocksource()
         << " > /sys/devices/system/clocksource/clocksource0/current_clocksource")
        .end_line();
}

void show_status(void* seq) {
    Out out = begin(seq);
    (out << "kvmpv " << KVMPV_VERSION << ", KVM at CPUID leaf " << Hex{survey.kvm.base}
         << ", features " << Hex{survey.kvm.features} << ", hints " << Hex{survey.kvm.hints})
        .end_line();
    out.end_line();
    (out << "feature   mode    reason").end_line();
    write_feature(out, "clock", survey.clock, "KVM_FEATURE_CLOCKSOURCE", true);
    write_feature(out, "steal", survey.steal, "KVM_FEATURE_STEAL_TIME", false);
    write_feature(out, "eoi", survey.eoi, "KVM_FEATURE_PV_EOI", false);
    out << "async_pf  off     ";
    write_reason(out, Reason::kNeverTaken, {}, "");
    out.end_line();
    write_clocksource(out);
}

// ---- features --------------------------------------------------------------------------------

template <class Name, u32 kNumNames, class Row>
void write_bits(const Name (&names)[kNumNames], u32 offered, u32 named, Row&& row) {
    for (const Name& name : names)
        row(static_cast<u32>(name.bit), name.name, (offered >> static_cast<u32>(name.bit)) & 1);
    // What a newer host offers beyond our names is shown rather than hidden.
    for (u32 bit = 0; bit < 32; ++bit)
        if ((offered & ~named) >> bit & 1) row(bit, "unnamed", true);
}

void show_features(void* seq) {
    static constexpr Column kColumns[] = {
        {"register", 8}, {"bit", 3}, {"offered", 7}, {"name", 34}};
    Out out = begin(seq);
    Table table(out, kColumns);
    const auto row = [&](const char* reg) {
        return [&table, reg](u32 bit, const char* name, bool offered) {
            table.cell(reg).cell(bit).cell(yes_no(offered)).cell(name);
        };
    };
    write_bits(kFeatureNames, survey.kvm.features, named_feature_bits(), row("eax"));
    write_bits(kHintNames, survey.kvm.hints, named_hint_bits(), row("edx"));
}

// ---- cpus ------------------------------------------------------------------------------------

// An area that the host writes, mapped for as long as one row takes.
template <class Area>
class MappedArea {
public:
    explicit MappedArea(u64 physical) {
        mapped_ = linux_map_shared(physical, sizeof(Area), &mapping_) == 0;
    }
    ~MappedArea() {
        if (mapped_) linux_unmap_shared(&mapping_);
    }
    MappedArea(const MappedArea&) = delete;
    MappedArea& operator=(const MappedArea&) = delete;

    const Area* get() const {
        return mapped_ ? static_cast<const Area*>(mapping_.address) : nullptr;
    }

private:
    linux_mapping mapping_{};
    bool mapped_ = false;
};

constexpr Msr kShownMsrs[] = {
    Msr::KVM_WALL_CLOCK,      Msr::KVM_SYSTEM_TIME,      Msr::KVM_WALL_CLOCK_NEW,
    Msr::KVM_SYSTEM_TIME_NEW, Msr::KVM_ASYNC_PF_EN,      Msr::KVM_STEAL_TIME,
    Msr::KVM_EOI_EN,          Msr::KVM_POLL_CONTROL,     Msr::KVM_ASYNC_PF_INT,
    Msr::KVM_ASYNC_PF_ACK,    Msr::KVM_MIGRATION_CONTROL};
constexpr u32 kNumShownMsrs = sizeof(kShownMsrs) / sizeof(kShownMsrs[0]);

constexpr u32 shown_at(Msr msr) {
    u32 at = 0;
    while (kShownMsrs[at] != msr) ++at;
    return at;
}

// Columns of `cpus`: the MSRs in the order of kShownMsrs, then the areas they point at.
constexpr Column kCpuColumns[] = {
    {"cpu", 3},
    {"wall_clock", 10},
    {"system_time", 11},
    {"wall_clock_new", 14},
    {"system_time_new", 15},
    {"async_pf_en", 12},
    {"steal_time", 12},
    {"eoi_en", 12},
    {"poll_control", 12},
    {"async_pf_int", 12},
    {"async_pf_ack", 12},
    {"migration_control", 17},
    {"clock_on", 8},
    {"clock_pa", 12},
    {"clock_version", 13},
    {"tsc_timestamp", 18},
    {"system_time_ns", 16},
    {"tsc_to_system_mul", 17},
    {"tsc_shift", 9},
    {"flags", 5},
    {"steal_on", 8},
    {"steal_pa", 12},
    {"steal_version", 13},
    {"steal_ns", 14},
    {"preempted", 9},
    {"eoi_on", 6},
    {"eoi_pa", 12},
    {"eoi_word", 8},
    {"async_pf_on", 11},
    {"async_pf_pa", 12},
};
constexpr u32 kNumCpuColumns = sizeof(kCpuColumns) / sizeof(kCpuColumns[0]);
using CpuTable = Table<SeqSink, kNumCpuColumns>;

void blank_cells(CpuTable& table, u32 count) {
    for (u32 i = 0; i < count; ++i) table.cell("-");
}

// Both of a registration MSR's parts; nothing where it could not be read.
void slot_cells(CpuTable& table, const Result<u64>& msr, u64 address_mask) {
    if (!msr.ok()) return blank_cells(table, 2);
    table.cell(yes_no(msr.value() & kMsrEnabled)).cell(Hex{msr.value() & address_mask});
}

// The address an enabled slot points at.
std::optional<u64> area_address(const Result<u64>& msr, u64 address_mask) {
    if (!msr.ok() || !(msr.value() & kMsrEnabled)) return std::nullopt;
    return msr.value() & address_mask;
}

// `system_time` is the MSR in force: the new one where offered, else its deprecated alias.
void clock_cells(CpuTable& table, const Result<u64>& system_time) {
    slot_cells(table, system_time, kSystemTimeAddressMask);
    const std::optional<u64> address = area_address(system_time, kSystemTimeAddressMask);
    if (!address) return blank_cells(table, 6);
    const MappedArea<PvclockVcpuTimeInfo> area(*address);
    if (!area.get()) return blank_cells(table, 6);

    const PvclockVcpuTimeInfo& live = *area.get();
    PvclockVcpuTimeInfo seen{};
    ColdMachine machine;
    const bool whole = version_read(machine, live.version, [&] {
        seen.version = x86::load(live.version);
        seen.tsc_timestamp = x86::load(live.tsc_timestamp);
        seen.system_time = x86::load(live.system_time);
        seen.tsc_to_system_mul = x86::load(live.tsc_to_system_mul);
        seen.tsc_shift = x86::load(live.tsc_shift);
        seen.flags = x86::load(live.flags);
    });
    if (!whole) {
        table.cell(x86::load(live.version));
        for (u32 i = 0; i < 5; ++i) table.cell("torn");
        return;
    }
    table.cell(seen.version)
        .cell(seen.tsc_timestamp)
        .cell(seen.system_time)
        .cell(seen.tsc_to_system_mul)
        .cell(Signed{seen.tsc_shift})
        .cell(u64{seen.flags});
}

void steal_cells(CpuTable& table, const Result<u64>& msr) {
    slot_cells(table, msr, kStealTimeAddressMask);
    const std::optional<u64> address = area_address(msr, kStealTimeAddressMask);
    if (!address) return blank_cells(table, 3);
    const MappedArea<KvmStealTime> area(*address);
    if (!area.get()) return blank_cells(table, 3);

    const KvmStealTime& live = *area.get();
    u64 steal_ns = 0;
    u32 version = 0;
    ColdMachine machine;
    const bool whole = version_read(machine, live.version, [&] {
        version = x86::load(live.version);
        steal_ns = x86::load(live.steal);
    });
    table.cell(whole ? version : x86::load(live.version));
    if (whole)
        table.cell(steal_ns);
    else
        table.cell("torn");
    // Outside the version protocol: the host writes it at any time.
    table.cell(u64{x86::load(live.preempted)});
}

void eoi_cells(CpuTable& table, const Result<u64>& msr) {
    slot_cells(table, msr, kEoiAddressMask);
    const std::optional<u64> address = area_address(msr, kEoiAddressMask);
    if (!address) return blank_cells(table, 1);
    const MappedArea<KvmPvEoi> area(*address);
    if (!area.get()) return blank_cells(table, 1);
    table.cell(Hex{x86::load(area.get()->word)});
}

using MsrValues = std::array<Result<u64>, kNumShownMsrs>;

void write_cpu(CpuTable& table, u32 cpu) {
    MsrValues values = [&]<std::size_t... kAt>(std::index_sequence<kAt...>) {
        return MsrValues{LiveKernel::rdmsr(cpu, kShownMsrs[kAt])...};
    }
    (std::make_index_sequence<kNumShownMsrs>{});

    table.cell(cpu);
    for (const Result<u64>& value : values) {
        if (value.ok())
            table.cell(Hex{value.value()});
        else
            table.cell("unreadable");
    }
    const Result<u64>& system_time_new = values[shown_at(Msr::KVM_SYSTEM_TIME_NEW)];
    clock_cells(table,
                system_time_new.ok() ? system_time_new : values[shown_at(Msr::KVM_SYSTEM_TIME)]);
    steal_cells(table, values[shown_at(Msr::KVM_STEAL_TIME)]);
    eoi_cells(table, values[shown_at(Msr::KVM_EOI_EN)]);
    slot_cells(table, values[shown_at(Msr::KVM_ASYNC_PF_EN)], kAsyncPfAddressMask);
}

void show_cpus(void* seq) {
    Out out = begin(seq);
    CpuTable table(out, kCpuColumns);
    linux_cpus_lock();
    for (int cpu = linux_next_online_cpu(-1); cpu >= 0; cpu = linux_next_online_cpu(cpu))
        write_cpu(table, static_cast<u32>(cpu));
    linux_cpus_unlock();
}

// ---- clock/ ----------------------------------------------------------------------------------

u64 clock_count(ClockCounter counter) {
    u64 sum = 0;
    for (int cpu = linux_next_possible_cpu(-1); cpu >= 0; cpu = linux_next_possible_cpu(cpu))
        sum += x86::load(
            linux_cpu(static_cast<u32>(cpu))->clock_count[static_cast<unsigned>(counter)]);
    return sum;
}

u64 largest_held_back_ns() {
    u64 largest = 0;
    for (int cpu = linux_next_possible_cpu(-1); cpu >= 0; cpu = linux_next_possible_cpu(cpu)) {
        const u64 ns = x86::load(linux_cpu(static_cast<u32>(cpu))->clock_held_back_max_ns);
        if (ns > largest) largest = ns;
    }
    return largest;
}

constexpr Column kStateColumns[] = {{"field", 24}, {"value", 20}};

// "events_" before the name of the kind.
void write_event_counts(Table<SeqSink, 2>& table) {
    std::array<u64, kNumEventKinds> counts;
    u64 disruptions, pause_max_ns, jump_max_ns;
    {
        const EventsLock lock;
        for (u32 kind = 0; kind < kNumEventKinds; ++kind)
            counts[kind] = events.count(static_cast<EventKind>(kind));
        disruptions = events.disruptions();
        pause_max_ns = static_cast<u64>(events.largest(EventKind::kPause));
        const s64 forward_ns = events.largest(EventKind::kJumpForward);
        const s64 backward_ns = events.largest(EventKind::kJumpBackward);
        jump_max_ns = static_cast<u64>(forward_ns > backward_ns ? forward_ns : backward_ns);
    }
    table.cell("disruptions").cell(disruptions);
    for (u32 kind = 0; kind < kNumEventKinds; ++kind) {
        LineBuffer<32> name;
        Writer<LineSink<32>>(LineSink<32>{&name}) << "events_" << kEventKinds[kind].name;
        table.cell(name.text()).cell(counts[kind]);
    }
    table.cell("jump_max_ns").cell(jump_max_ns);
    table.cell("pause_max_ns").cell(pause_max_ns);
}

void show_clock_state(void* seq) {
    Out out = begin(seq);
    Table table(out, kStateColumns);
    table.cell("registered").cell(yes_no(clock.enabled()));
    table.cell("stable_offered")
        .cell(yes_no(survey.kvm.has(Feature::KVM_FEATURE_CLOCKSOURCE_STABLE_BIT)));
    if (!clock.enabled()) return;
    table.cell("current").cell(yes_no(clock.current()));
    table.cell("rating").cell(Signed{clock.rating()});
    table.cell("path").cell(clock.guarded() ? "guarded" : "stable");
    table.cell("forced_unstable").cell(yes_no(clock.forced()));
    table.cell("stable_revoked").cell(yes_no(clock.revoked()));
    table.cell("tsc_read").cell(clock.uses_lfence() ? "lfence" : "rdtscp");
    table.cell("vdso").cell(yes_no(clock.vdso() == Vdso::kOn));
    table.cell("now_ns").cell(clock.now_ns());
    table.cell("guard_last_ns").cell(clock_read::guard.last_ns());
    table.cell("torn_reads").cell(clock_count(ClockCounter::kTorn));
    table.cell("bad_shift_reads").cell(clock_count(ClockCounter::kBadShift));
    table.cell("not_ready_reads").cell(clock_count(ClockCounter::kNotReady));
    table.cell("tsc_behind_reads").cell(clock_count(ClockCounter::kTscBehind));
    table.cell("held_back_reads").cell(clock_count(ClockCounter::kHeldBack));
    table.cell("held_back_max_ns").cell(largest_held_back_ns());
    write_event_counts(table);
}

// When no clocksource is registered there is no system time to add, and only the epoch is known.
void show_wall_clock(void* seq) {
    static constexpr Column kColumns[] = {{"field", 24}, {"value", 20}};
    Out out = begin(seq);
    Table table(out, kColumns);
    const Result<u64> epoch_ns = wall_clock.epoch_ns();
    if (!epoch_ns.ok()) {
        table.cell("error").cell(Signed{epoch_ns.error().negative_errno()});
        return;
    }
    table.cell("epoch_wall_ns").cell(epoch_ns.value());
    if (!clock.enabled()) return;
    const u64 realtime_before_ns = linux_realtime_ns();
    const u64 wall_now_ns = epoch_ns.value() + clock.now_ns();
    const u64 realtime_after_ns = linux_realtime_ns();
    // The middle of two looks, so that the time the looks take falls out of the difference.
    const u64 realtime_ns = realtime_before_ns + (realtime_after_ns - realtime_before_ns) / 2;
    table.cell("wall_now_ns").cell(wall_now_ns);
    table.cell("realtime_ns").cell(realtime_ns);
    table.cell("offset_ns").cell(Signed{static_cast<s64>(wall_now_ns - realtime_ns)});
}

void show_clock_release(void* seq) {
    Out out = begin(seq);
    (out << "released " << yes_no(clock.released())).end_line();
    (out << "current " << yes_no(clock.current())).end_line();
    if (clock.released() && clock.current())
        (out << "override yes: current_clocksource was set to kvmpv and overrides ratings; write "
                "another name to it")
            .end_line();
}

// What a switch was written: 0 or 1, and nothing else.
std::optional<bool> parse_switch(const char* text) {
    if ((text[0] != '0' && text[0] != '1') || text[1] != '\0') return std::nullopt;
    return text[0] == '1';
}

int store_clock_release(const char* text) {
    const std::optional<bool> released = parse_switch(text);
    return released ? clock.release(*released).zero_or_negative_errno() : -kEinval;
}

void show_clock_force_unstable(void* seq) {
    Out out = begin(seq);
    (out << "forced_unstable " << yes_no(clock.forced())).end_line();
    (out << "stable_revoked " << yes_no(clock.revoked())).end_line();
    (out << "path " << (clock.guarded() ? "guarded" : "stable")).end_line();
}

int store_clock_force_unstable(const char* text) {
    const std::optional<bool> forced = parse_switch(text);
    return forced ? clock.force_unstable(*forced).zero_or_negative_errno() : -kEinval;
}

// ---- events ----------------------------------------------------------------------------------

constexpr Column kEventColumns[] = {
    {"seq", 6},          {"time_ns", 16},       {"cpu", 3},
    {"event", 14},       {"value", 20},         {"unit", 5},
    {"mul_before", 10},  {"mul_after", 10},     {"shift_before", 12},
    {"shift_after", 11}, {"tsc_timestamp", 20}, {"system_time_ns", 20},
};
constexpr u32 kNumEventColumns = sizeof(kEventColumns) / sizeof(kEventColumns[0]);

void write_event(Table<SeqSink, kNumEventColumns>& table, u64 sequence, const Event& event) {
    table.cell(sequence).cell(event.time_ns);
    if (event.cpu == kNoCpu)
        table.cell("-");
    else
        table.cell(event.cpu);
    table.cell(info(event.kind).name).cell(Signed{event.value}).cell(info(event.kind).unit);
    if (!event.has_samples) {
        for (u32 i = 0; i < 6; ++i) table.cell("-");
        return;
    }
    table.cell(event.before.tsc_to_system_mul)
        .cell(event.now.tsc_to_system_mul)
        .cell(Signed{event.before.tsc_shift})
        .cell(Signed{event.now.tsc_shift})
        .cell(event.now.tsc_timestamp)
        .cell(event.now.system_time_ns);
}

std::optional<Event> event_at(u64 sequence) {
    const EventsLock lock;
    return events.ring().at(sequence);
}

void show_events(void* seq) {
    Out out = begin(seq);
    u64 total, oldest;
    {
        const EventsLock lock;
        total = events.ring().total();
        oldest = events.ring().oldest();
    }
    (out << "events " << total << " lost " << oldest - 1).end_line();
    Table table(out, kEventColumns);
    for (u64 sequence = oldest; sequence <= total; ++sequence)
        if (const std::optional<Event> event = event_at(sequence))
            write_event(table, sequence, *event);
}

}  // namespace
}  // namespace kvmpv

extern "C" constinit const kvmpv_file kvmpv_files[] = {
    {"", "status", kvmpv::show_status, nullptr},
    {"", "features", kvmpv::show_features, nullptr},
    {"", "cpus", kvmpv::show_cpus, nullptr},
    {"", "events", kvmpv::show_events, nullptr},
    {"clock", "state", kvmpv::show_clock_state, nullptr},
    {"clock", "wall_clock", kvmpv::show_wall_clock, nullptr},
    {"clock", "release", kvmpv::show_clock_release, kvmpv::store_clock_release},
    {"clock", "force_unstable", kvmpv::show_clock_force_unstable,
     kvmpv::store_clock_force_unstable},
    {nullptr, nullptr, nullptr, nullptr},
};
