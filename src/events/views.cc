// SPDX-License-Identifier: GPL-2.0-only
//
// `events`: what has happened, an entry a row.

#include "base/view.hh"
#include "events/events.hh"
#include "events/views.hh"

namespace kvmpv {

namespace {

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

void show_events(void* seq) {
    Out out = begin_view(seq);
    const auto [total, oldest] = event_span();
    (out << "events " << total << " lost " << oldest - 1).end_line();
    Table table(out, kEventColumns);
    for (u64 sequence = oldest; sequence <= total; ++sequence)
        if (const std::optional<Event> event = event_at(sequence))
            write_event(table, sequence, *event);
}

constexpr kvmpv_file kFiles[] = {{"", "events", show_events, nullptr, kIsAwaited}};

}  // namespace

std::span<const kvmpv_file> events_files() { return kFiles; }

}  // namespace kvmpv
