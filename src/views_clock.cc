// SPDX-License-Identifier: GPL-2.0-only
//
// The files of `clock/`.

#include "clock.hh"
#include "clock_read.hh"
#include "cpus.hh"
#include "events.hh"
#include "kvmpv/x86.hh"
#include "other_clocks.hh"
#include "sampler.hh"
#include "slots.hh"
#include "switches.hh"
#include "view.hh"
#include "views.hh"
#include "wall_clock.hh"

namespace kvmpv {

namespace {

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

}  // namespace

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

namespace {

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

}  // namespace

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

int store_clock_release(const char* text) { return store_switch(KVMPV_CLOCK_RELEASE, text); }

void show_clock_force_unstable(void* seq) {
    Out out = begin_view(seq);
    (out << "forced_unstable " << yes_no(clock.forced())).end_line();
    (out << "stable_revoked " << yes_no(clock.revoked())).end_line();
    (out << "path " << (clock.guarded() ? "guarded" : "stable")).end_line();
}

int store_clock_force_unstable(const char* text) {
    return store_switch(KVMPV_CLOCK_FORCE_UNSTABLE, text);
}

}  // namespace kvmpv
