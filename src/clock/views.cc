// SPDX-License-Identifier: GPL-2.0-only
//
// The files of `clock/`, and what `status` says about the clocksource.

#include "base/view.hh"
#include "clock/clock.hh"
#include "clock/other_clocks.hh"
#include "clock/views.hh"
#include "clock/wall_clock.hh"
#include "events/events.hh"

namespace kvmpv {

namespace {

const char* vdso_text(const ClockState& state) {
    switch (state.vdso) {
        case Vdso::kOn: return "user space reads the clock without a system call";
        case Vdso::kParameter: return "by system call: disabled by the parameter vdso";
        case Vdso::kOwnedMode:
            return "by system call: in owned mode only with the parameter vdso=1";
        case Vdso::kAsNative:
            return "by system call: so is the kernel's own clock (no-kvmclock-vsyscall)";
        case Vdso::kNotStable:
            return "by system call: the host did not promise a stable clock at load";
        case Vdso::kNoPage:
            return state.owned ? "by system call: kernel symbol pvti_cpu0_va not found"
                               : "by system call: the kernel has no page to map for user space";
        case Vdso::kKernelsPage:
            return "by system call: the page for user space is the kernel's own";
        case Vdso::kNoMappingBit: return "by system call: kernel symbol vclocks_used not found";
        case Vdso::kGuardOn: return "by system call: the guard is on; user space cannot apply it";
        case Vdso::kPromiseGone:
            return "by system call: the host has withdrawn its promise of a stable clock";
    }
    return "";
}

// If only the switch prevents it, the line says what it would save.
void write_vdso(Out& out, const ClockState& state) {
    out << "vdso: " << vdso_text(state);
    const bool could_be_on = state.vdso == Vdso::kOwnedMode || state.vdso == Vdso::kAsNative ||
                             state.vdso == Vdso::kParameter;
    if (could_be_on)
        out << "; to save the system call of each clock_gettime(): echo 1 > "
               "/sys/module/kvmpv/parameters/vdso";
    if (could_be_on && state.owned && !state.page_is_kept) out << " (costs one page, for good)";
    out.end_line();
}

// The kernel's watchdog marks a clock as unstable, for good, if it differs from the watchdog's.
void write_watchdog(Out& out, const ClockState& state) {
    if (state.is_watchdog < 0)
        out << "watchdog: unknown, kernel symbols watchdog and watchdog_list not found";
    else if (!state.is_watchdog)
        out << "watchdog: another clocksource";
    else if (state.is_indispensable)
        out << "watchdog: kvmpv, and the kernel accepts no other clock for that: rmmod fails "
               "with EAGAIN until it has one";
    else if (state.judges)
        out << "watchdog: kvmpv is the clock by which the kernel judges the TSC";
    else
        out << "watchdog: kvmpv, with nothing to judge";
    out.end_line();
}

// Without kvmclock the other clocks differ from guest to guest, so no name is given then.
void write_how_to_release(Out& out, bool shared) {
    (out << "While kvmpv is the current clocksource, rmmod fails with EAGAIN. To release it:")
        .end_line();
    (out << "  echo 1 > /sys/module/kvmpv/parameters/clock_release").end_line();
    (out << "or, if kvmpv was written to current_clocksource, write another name there"
         << (shared ? ":" : ", one of those in available_clocksource:"))
        .end_line();
    (out << "  echo " << (shared ? "kvm-clock" : "NAME")
         << " > /sys/devices/system/clocksource/clocksource0/current_clocksource")
        .end_line();
    (out << "If available_clocksource has no other name, the kernel cannot leave kvmpv.")
        .end_line();
}

void write_section(Out& out) {
    static constexpr Column kColumns[] = {{"clocksource", 11}, {"rating", 6}, {"current", 7},
                                          {"released", 8},     {"path", 7},   {"tsc_read", 8}};
    const ClockState state = clock.state();
    if (!state.enabled) return;
    out.end_line();
    if (state.unbound) {
        (out << "The clocksource kvmpv was unbound by unbind_clocksource: the kernel no longer "
                "knows it. The next load registers it again.")
            .end_line();
        return;
    }
    Table table(out, kColumns);
    table.cell("kvmpv")
        .cell(Signed{state.rating})
        .cell(yes_no(state.current))
        .cell(yes_no(state.released))
        .cell(state.guarded ? "guarded" : "stable")
        .cell(state.tsc_read);
    write_vdso(out, state);
    if (state.page_is_kept)
        (out << "The page that user space reads is never freed; the next load uses it again.")
            .end_line();
    write_watchdog(out, state);
    if (state.uses_deprecated_msr)
        (out << "The deprecated MSR 0x12 is in use, which switches the host's masterclock off: no "
                "stable clock.")
            .end_line();
    if (state.alone)
        (out << "The host has refused the clock's slot after sleep. Until the next sleep or load "
                "the clock continues by the TSC, at the rate that it had.")
            .end_line();
    if (state.current) write_how_to_release(out, !state.owned);
}

// "events_" before the name of the kind.
void write_event_totals(FieldTable& table) {
    const EventTotals totals = event_totals();
    table.cell("disruptions").cell(totals.disruptions);
    for (u32 kind = 0; kind < kNumEventKinds; ++kind) {
        LineBuffer<32> name;
        Writer<LineSink<32>>(LineSink<32>{&name}) << "events_" << kEventKinds[kind].name;
        table.cell(name.text()).cell(totals.counts[kind]);
    }
    table.cell("jump_max_ns").cell(totals.jump_max_ns);
    table.cell("pause_max_ns").cell(totals.pause_max_ns);
}

void write_read_counts(FieldTable& table, const ClockState& state) {
    table.cell("torn_reads").cell(state.count(ClockCounter::kTorn));
    table.cell("bad_shift_reads").cell(state.count(ClockCounter::kBadShift));
    table.cell("not_ready_reads").cell(state.count(ClockCounter::kNotReady));
    table.cell("tsc_behind_reads").cell(state.count(ClockCounter::kTscBehind));
    table.cell("held_back_reads").cell(state.count(ClockCounter::kHeldBack));
    table.cell("held_back_max_ns").cell(state.held_back_max_ns);
    table.cell("too_far_ahead_reads").cell(state.count(ClockCounter::kTooFarAhead));
}

void show_clock_state(void* seq) {
    Out out = begin_view(seq);
    Table table(out, kFieldColumns);
    const ClockState state = clock.state();
    table.cell("registered").cell(yes_no(state.registered));
    table.cell("stable_offered").cell(yes_no(state.stable_offered));
    if (!state.enabled) return;
    table.cell("unbound").cell(yes_no(state.unbound));
    table.cell("current").cell(yes_no(state.current));
    table.cell("rating").cell(Signed{state.rating});
    table.cell("released").cell(yes_no(state.released));
    table.cell("path").cell(state.guarded ? "guarded" : "stable");
    table.cell("forced_unstable").cell(yes_no(state.forced));
    table.cell("stable_revoked").cell(yes_no(state.revoked));
    table.cell("alone").cell(yes_no(state.alone));
    table.cell("tsc_read").cell(state.tsc_read);
    table.cell("kvm_clock_id").cell(yes_no(state.is_kvm_clock));
    table.cell("vdso").cell(yes_no(state.vdso == Vdso::kOn));
    table.cell("cpu0_wakes").cell(state.cpu0_wakes);
    table.cell("now_ns").cell(state.now_ns);
    table.cell("guard_last_ns").cell(state.guard_last_ns);
    write_read_counts(table, state);
    write_event_totals(table);
}

void show_wall_clock(void* seq) {
    Out out = begin_view(seq);
    Table table(out, kFieldColumns);
    const Result<WallClock::Answer> asked = wall_clock.ask();
    if (!asked.ok()) {
        table.cell("error").cell(Signed{asked.error().negative_errno()});
        return;
    }
    const WallClock::Answer& answer = asked.value();
    table.cell("epoch_wall_ns").cell(answer.epoch_ns);
    if (!answer.has_now) return;
    table.cell("wall_now_ns").cell(answer.wall_now_ns);
    table.cell("realtime_ns").cell(answer.realtime_ns);
    table.cell("offset_ns").cell(Signed{static_cast<s64>(answer.wall_now_ns - answer.realtime_ns)});
}

constexpr Column kDriftColumns[] = {
    {"clock", 13},    {"present", 7},    {"elapsed_ns", 16}, {"offset_ns", 14},   {"error_ns", 11},
    {"rate_ppb", 12}, {"error_ppb", 12}, {"read_ns", 10},    {"cpuid_exits", 11},
};
using DriftTable = Table<SeqSink, sizeof(kDriftColumns) / sizeof(kDriftColumns[0])>;

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
        table.cell(answer.read_ns).cell(answers.cost_in_cpuids(answer.read_ns));
    else
        table.cell("-").cell("-");
}

void show_clock_drift(void* seq) {
    Out out = begin_view(seq);
    DriftTable table(out, kDriftColumns);
    OtherClocks::Answers answers;
    if (!other_clocks.look(answers)) return;
    for (u32 i = 0; i < kNumOtherClocks; ++i)
        write_drift(table, static_cast<OtherClock>(i), answers);
}

void show_clock_release(void* seq) {
    Out out = begin_view(seq);
    const ClockState state = clock.state();
    (out << "released " << yes_no(state.released)).end_line();
    (out << "current " << yes_no(state.current)).end_line();
    if (state.unbound) (out << "unbound yes").end_line();
    if (!state.released || !state.current) return;
    out << "override " << (state.is_named < 0 ? "unknown" : yes_no(state.is_named == 1)) << ": "
        << state.why_current;
    out.end_line();
}

int store_clock_release(const char* text) {
    return store_switch(text, [](bool on) { return clock.release(on); });
}

void show_clock_force_unstable(void* seq) {
    Out out = begin_view(seq);
    const ClockState state = clock.state();
    (out << "forced_unstable " << yes_no(state.forced)).end_line();
    (out << "stable_revoked " << yes_no(state.revoked)).end_line();
    (out << "path " << (state.guarded ? "guarded" : "stable")).end_line();
}

int store_clock_force_unstable(const char* text) {
    return store_switch(text, [](bool on) { return clock.force_unstable(on); });
}

void show_clock_vdso(void* seq) {
    Out out = begin_view(seq);
    FieldTable table(out, kFieldColumns);
    const ClockState state = clock.state();
    table.cell("switched_on").cell(yes_no(clock.vdso_is_wanted()));
    table.cell("vdso").cell(yes_no(state.enabled && state.vdso == Vdso::kOn));
}

int store_clock_vdso(const char* text) {
    return store_switch(text, [](bool on) { return clock.set_vdso(on); });
}

constexpr kvmpv_file kFiles[] = {
    {"clock", "state", show_clock_state, nullptr, kIsAwaited},
    {"clock", "release", show_clock_release, store_clock_release},
    {"clock", "force_unstable", show_clock_force_unstable, store_clock_force_unstable},
    {"clock", "vdso", show_clock_vdso, store_clock_vdso},
};
constexpr kvmpv_file kWallClockFiles[] = {{"clock", "wall_clock", show_wall_clock, nullptr}};
constexpr kvmpv_file kOtherClocksFiles[] = {{"clock", "drift", show_clock_drift, nullptr}};

}  // namespace

void write_clock_section(Out& out) { write_section(out); }
std::span<const kvmpv_file> clock_files() { return kFiles; }
std::span<const kvmpv_file> wall_clock_files() { return kWallClockFiles; }
std::span<const kvmpv_file> other_clocks_files() { return kOtherClocksFiles; }

}  // namespace kvmpv
