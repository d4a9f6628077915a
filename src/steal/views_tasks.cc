// SPDX-License-Identifier: GPL-2.0-only
//
// `steal/tasks`, `steal/cgroups` and the switch for both.

#include "base/cgroup_paths.hh"
#include "base/view.hh"
#include "steal/steal.hh"
#include "steal/tasks.hh"
#include "steal/views.hh"

namespace kvmpv {

namespace {

using steal_tasks::Report;

template <class Who>
void write_head(Out& out, const Report<Who>& report) {
    out << "attribution " << (report.is_on ? "on" : "off") << " since_reset_ns ";
    if (report.has_memory)
        out << report.since_reset_ns;
    else
        out << "-";
    out.end_line();
}

using TaskTable = Table<SeqSink, 5>;
using CgroupTable = Table<SeqSink, 4>;

void write_part(TaskTable& table, const char* what, u64 ns) {
    table.cell(what).cell("-").cell("-").cell(ns).cell("-");
}

void write_part(CgroupTable& table, const char* what, u64 ns) {
    table.cell(what).cell("-").cell(ns).cell("-");
}

}  // namespace

void show_steal_tasks(void* seq) {
    static constexpr Column kColumns[] = {
        {"what", 5}, {"pid", 8}, {"tgid", 8}, {"steal_ns", 16}, {"comm", 16}};
    Out out = begin_view(seq);
    Report<TaskWho> report;
    steal_tasks::report(report);
    write_head(out, report);
    TaskTable table(out, kColumns);
    for (const Charge<TaskWho>& charge : report.charges) {
        const kvmpv_task& task = charge.who.task;
        table.cell("task").cell(task.pid).cell(task.tgid).cell(charge.ns).cell(task_name(task));
    }
    if (!report.has_memory) return;
    write_part(table, "idle", report.idle_ns);
    write_part(table, "other", report.other_ns);
}

void show_steal_cgroups(void* seq) {
    static constexpr Column kColumns[] = {{"what", 6}, {"id", 8}, {"steal_ns", 16}, {"path", 20}};
    Out out = begin_view(seq);
    Report<CgroupWho> report;
    steal_tasks::report(report);
    write_head(out, report);
    CgroupTable table(out, kColumns);
    CgroupPaths paths;
    for (const Charge<CgroupWho>& charge : report.charges) {
        table.cell("cgroup").cell(charge.who.id).cell(charge.ns).cell(paths.of(charge.who.id));
    }
    if (!report.has_memory) return;
    write_part(table, "idle", report.idle_ns);
    write_part(table, "other", report.other_ns);
}

void show_steal_attribution(void* seq) {
    Out out = begin_view(seq);
    FieldTable table(out, kFieldColumns);
    table.cell("on").cell(yes_no(steal.state().attribution));
}

int store_steal_attribution(const char* text) {
    return store_switch(text, [](bool on) { return steal.set_attribution(on); });
}

}  // namespace kvmpv
