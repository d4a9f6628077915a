// SPDX-License-Identifier: GPL-2.0-only
//
// The files of `clock/`, and what `status` says of the clocksource.

#include "clock.hh"
#include "clock_read.hh"
#include "cpus.hh"
#include "events.hh"
#include "kvmpv/x86.hh"
#include "other_clocks.hh"
#include "sampler.hh"
#include "slots.hh"
#include "view.hh"
#include "views.hh"
#include "wall_clock.hh"

namespace kvmpv {

namespace {

const char* vdso_text(Vdso vdso) {
    switch (vdso) {
        case Vdso::kOn: return "user space reads the clock without a system call";
        case Vdso::kParameter: return "by system call: disabled by the parameter vdso";
        case Vdso::kOwnedMode:
            return "by system call: in owned mode only with the parameter vdso=1";
        case Vdso::kNotStable: return "by system call: the host does not promise a stable clock";
        case Vdso::kNoPage:
            return clock.owned() ? "by system call: kernel symbol pvti_cpu0_va not found"
                                 : "by system call: the kernel has no page to map for user space";
        case Vdso::kKernelsPage:
            return "by system call: the page for user space is the kernel's own";
        case Vdso::kNoMappingBit: return "by system call: kernel symbol vclocks_used not found";
        case Vdso::kGuardOn:
            return "by system call: the guard is on, of which user space knows none";
    }
    return "";
}

// The kernel's watchdog declares a clock unstable, for good, that goes otherwise than it does.
void write_watchdog(Out& out) {
    bool judges = false;
    const int is_watchdog = linux_clocksource_is_watchdog(&judges);
    if (is_watchdog < 0)
        out << "watchdog: unknown, kernel symbols watchdog and watchdog_list not found";
    else if (!is_watchdog)
        out << "watchdog: another clocksource";
    else if (clock.kept())
        out << "watchdog: kvmpv, and the kernel accepts no other clock for that: rmmod answers "
               "EBUSY until it has one";
    else if (judges)
        out << "watchdog: kvmpv is the clock by which the kernel judges the TSC";
    else
        out << "watchdog: kvmpv, with nothing to judge";
    out.end_line();
}

void write_section(Out& out) {
    static constexpr Column kColumns[] = {{"clocksource", 11}, {"rating", 6}, {"current", 7},
                                          {"released", 8},     {"path", 7},   {"tsc_read", 8}};
    if (!clock.enabled()) return;
    out.end_line();
    if (clock.unbound()) {
        (out << "The clocksource kvmpv was unbound by unbind_clocksource: the kernel does not know "
                "it any more. The next load registers it again.")
            .end_line();
        return;
    }
    Table table(out, kColumns);
    table.cell("kvmpv")
        .cell(Signed{clock.rating()})
        .cell(yes_no(clock.current()))
        .cell(yes_no(clock.released()))
        .cell(clock.guarded() ? "guarded" : "stable")
        .cell(clock.tsc_read());
    (out << "vdso: " << vdso_text(clock.vdso())).end_line();
    if (clock.page_is_kept())
        (out << "The page that user space reads is never freed; the next load uses it again.")
            .end_line();
    write_watchdog(out);
    if (clock.owned() && slots.clock.msr() == Msr::KVM_SYSTEM_TIME)
        (out << "The deprecated MSR 0x12 is in use, which switches the host's masterclock off: no "
                "stable clock.")
            .end_line();
    if (!clock.current()) return;
    // What there is besides us where the kernel has no kvmclock differs from guest to guest.
    const bool shared = !clock.owned();
    (out << "While kvmpv is the current clocksource, rmmod answers EBUSY. To release it:")
        .end_line();
    (out << "  echo 1 > /sys/module/kvmpv/parameters/clock_release").end_line();
    (out << "or, where current_clocksource was set to kvmpv by hand, write another name to it"
         << (shared ? ":" : ", one of those in available_clocksource:"))
        .end_line();
    (out << "  echo " << (shared ? "kvm-clock" : "NAME")
         << " > /sys/devices/system/clocksource/clocksource0/current_clocksource")
        .end_line();
    (out << "Where available_clocksource has no other name the kernel cannot do without kvmpv.")
        .end_line();
}

u64 clock_count(ClockCounter counter) {
    u64 sum = 0;
    for (const u32 cpu : possible_cpus())
        sum += x86::load(linux_cpu(cpu)->clock_count[static_cast<unsigned>(counter)]);
    return sum;
}

u64 largest_held_back_ns() {
    u64 largest = 0;
    for (const u32 cpu : possible_cpus()) {
        const u64 ns = x86::load(linux_cpu(cpu)->clock_held_back_max_ns);
        if (ns > largest) largest = ns;
    }
    return largest;
}

// "events_" before the name of the kind.
void write_event_counts(FieldTable& table) {
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
    Out out = begin_view(seq);
    Table table(out, kFieldColumns);
    table.cell("registered").cell(yes_no(clock.registered()));
    table.cell("stable_offered")
        .cell(yes_no(slots.kvm.has(Feature::KVM_FEATURE_CLOCKSOURCE_STABLE_BIT)));
    if (!clock.enabled()) return;
    table.cell("unbound").cell(yes_no(clock.unbound()));
    table.cell("current").cell(yes_no(clock.current()));
    table.cell("rating").cell(Signed{clock.rating()});
    table.cell("released").cell(yes_no(clock.released()));
    table.cell("path").cell(clock.guarded() ? "guarded" : "stable");
    table.cell("forced_unstable").cell(yes_no(clock.forced()));
    table.cell("stable_revoked").cell(yes_no(clock.revoked()));
    table.cell("tsc_read").cell(clock.tsc_read());
    table.cell("kvm_clock_id").cell(yes_no(clock.is_kvm_clock()));
    table.cell("vdso").cell(yes_no(clock.vdso() == Vdso::kOn));
    table.cell("cpu0_wakes").cell(sampler::cpu0_wakes());
    table.cell("now_ns").cell(clock.now_ns());
    table.cell("guard_last_ns").cell(clock_read::guard.last_ns());
    table.cell("torn_reads").cell(clock_count(ClockCounter::kTorn));
    table.cell("bad_shift_reads").cell(clock_count(ClockCounter::kBadShift));
    table.cell("not_ready_reads").cell(clock_count(ClockCounter::kNotReady));
    table.cell("tsc_behind_reads").cell(clock_count(ClockCounter::kTscBehind));
    table.cell("held_back_reads").cell(clock_count(ClockCounter::kHeldBack));
    table.cell("held_back_max_ns").cell(largest_held_back_ns());
    table.cell("too_far_ahead_reads").cell(clock_count(ClockCounter::kTooFarAhead));
    write_event_counts(table);
}

// When no clocksource is registered there is no system time to add, and only the epoch is known.
void show_wall_clock(void* seq) {
    Out out = begin_view(seq);
    Table table(out, kFieldColumns);
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

constexpr Column kDriftColumns[] = {
    {"clock", 13},    {"present", 7},    {"elapsed_ns", 16}, {"offset_ns", 14},   {"error_ns", 11},
    {"rate_ppb", 12}, {"error_ppb", 12}, {"read_ns", 10},    {"cpuid_exits", 11},
};
using DriftTable = Table<SeqSink, sizeof(kDriftColumns) / sizeof(kDriftColumns[0])>;

// What reading a clock costs beyond our two reads around it, in CPUIDs, rounded: that instruction
// is one exit for certain.
u64 cost_in_cpuids(const OtherClocks::Answers& answers, u64 read_ns) {
    const auto beyond = [&](u64 ns) {
        return ns > answers.own_read_ns ? ns - answers.own_read_ns : 0;
    };
    const u64 unit_ns = beyond(answers.cpuid_ns);
    return unit_ns ? (beyond(read_ns) + unit_ns / 2) / unit_ns : 0;
}

void write_drift(DriftTable& table, OtherClock which, const OtherClocks::Answers& answers) {
    const OtherClocks::Answer& answer = answers.of[static_cast<u32>(which)];
    table.cell(other_clock_name(which)).cell(yes_no(answer.present == 0));
    if (answer.drift)
        table.cell(answer.drift->elapsed_ns)
            .cell(Signed{answer.drift->offset_ns})
            .cell(answer.drift->error_ns)
            .cell(Signed{answer.drift->rate_ppb})
            .cell(answer.drift->error_ppb);
    else
        for (u32 i = 0; i < 5; ++i) table.cell("-");
    if (answer.present == 0)
        table.cell(answer.read_ns).cell(cost_in_cpuids(answers, answer.read_ns));
    else
        table.cell("-").cell("-");
}

void show_clock_drift(void* seq) {
    Out out = begin_view(seq);
    DriftTable table(out, kDriftColumns);
    if (!clock.enabled()) return;
    OtherClocks::Answers answers;
    other_clocks.look(answers);
    for (u32 i = 0; i < kNumOtherClocks; ++i)
        write_drift(table, static_cast<OtherClock>(i), answers);
}

void show_clock_release(void* seq) {
    Out out = begin_view(seq);
    (out << "released " << yes_no(clock.released())).end_line();
    (out << "current " << yes_no(clock.current())).end_line();
    if (clock.unbound()) (out << "unbound yes").end_line();
    if (!clock.released() || !clock.current()) return;
    const int is_named = linux_clocksource_is_named();
    out << "override " << (is_named < 0 ? "unknown" : yes_no(is_named == 1)) << ": "
        << clock.why_current();
    out.end_line();
}

int store_clock_release(const char* text) {
    return store_switch(text, [](bool on) { return clock.release(on); });
}

void show_clock_force_unstable(void* seq) {
    Out out = begin_view(seq);
    (out << "forced_unstable " << yes_no(clock.forced())).end_line();
    (out << "stable_revoked " << yes_no(clock.revoked())).end_line();
    (out << "path " << (clock.guarded() ? "guarded" : "stable")).end_line();
}

int store_clock_force_unstable(const char* text) {
    return store_switch(text, [](bool on) { return clock.force_unstable(on); });
}

constexpr kvmpv_file kFiles[] = {
    {"clock", "state", show_clock_state, nullptr},
    {"clock", "release", show_clock_release, store_clock_release},
    {"clock", "force_unstable", show_clock_force_unstable, store_clock_force_unstable},
};
constexpr kvmpv_file kWallClockFiles[] = {{"clock", "wall_clock", show_wall_clock, nullptr}};
constexpr kvmpv_file kOtherClocksFiles[] = {{"clock", "drift", show_clock_drift, nullptr}};

}  // namespace

void write_clock_section(Out& out) { write_section(out); }
std::span<const kvmpv_file> clock_files() { return kFiles; }
std::span<const kvmpv_file> wall_clock_files() { return kWallClockFiles; }
std::span<const kvmpv_file> other_clocks_files() { return kOtherClocksFiles; }

}  // namespace kvmpv
