// SPDX-License-Identifier: GPL-2.0-only
//
// The file `migration/control`.

#include "migration/views.hh"

#include "migration/migration.hh"

namespace kvmpv {

namespace {

// A hold of which any time is left has at least one second left.
u64 left_s(const Migration::State& state) { return (state.left_ns + 999'999'999) / 1'000'000'000; }

const char* in_words(const Migration::State& state) {
    if (!state.is_started) {
        const bool offered = slots.migration_control.decision().reason != Reason::kNotOffered;
        return offered ? "off" : "not offered";
    }
    if (state.is_held) return "held";
    if (!state.msr.ok()) return "unreadable";
    return state.msr.value() & kMigrationAllowed ? "allowed" : "not allowed";
}

void write_msr(FieldTable& table, const Migration::State& state) {
    table.cell("msr");
    if (!state.is_started)
        table.cell("-");
    else if (state.msr.ok())
        table.cell(Hex{state.msr.value()});
    else
        table.cell("unreadable");
    table.cell("before");
    if (state.value.is_held)
        table.cell(Hex{state.value.before});
    else
        table.cell("-");
}

void write_holder(FieldTable& table, const Migration::State& state) {
    table.cell("held_until_ns").cell(state.held_until_ns);
    table.cell("left_s").cell(left_s(state));
    table.cell("pid").cell(state.holder.pid);
    table.cell("comm").cell(task_name(state.holder));
}

void show_control(void* seq) {
    Out out = begin_view(seq);
    FieldTable table(out, kFieldColumns);
    const Migration::State state = migration.state();
    table.cell("state").cell(in_words(state));
    write_msr(table, state);
    table.cell("holds").cell(state.holds);
    table.cell("timed_out").cell(state.timed_out);
    table.cell("failures").cell(state.failures);
    if (state.is_held) write_holder(table, state);
}

int store_control(const char* text, const void* file) {
    const std::optional<MigrationWrite> wanted = parse_migration_write(text);
    return wanted ? migration.write(*wanted, file).zero_or_negative_errno() : -kEinval;
}

void close_control(const void* file) { migration.closed(file); }

constexpr kvmpv_file kFiles[] = {
    {"migration", "control", show_control, nullptr, !kIsAwaited, store_control, close_control},
};

}  // namespace

void write_migration_note(Out& out) {
    const Migration::State state = migration.state();
    if (!state.is_started) return;
    if (state.is_held)
        out << "; held for " << left_s(state) << " s by " << state.holder.pid << " "
            << task_name(state.holder);
    else if (state.value.is_held)
        out << "; set to " << state.value.set;
    else
        out << "; as it was";
    if (state.failures) out << ", " << state.failures << " failures, see the kernel log";
}

std::span<const kvmpv_file> migration_files() { return kFiles; }

}  // namespace kvmpv
