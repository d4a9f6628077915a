// SPDX-License-Identifier: GPL-2.0-only
//
// `steal/tasks`, `steal/cgroups` and the switch for both.

#include "mutex.hh"
#include "steal.hh"
#include "steal_tasks.hh"
#include "view.hh"
#include "views.hh"

namespace kvmpv {

namespace {

using steal_tasks::CgroupWho;
using steal_tasks::Summary;
using steal_tasks::TaskWho;

void write_head(Out& out, const Summary& sum) {
    (out << "attribution " << (steal_tasks::is_on() ? "on" : "off") << " since_reset_ns "
         << sum.since_reset_ns)
        .end_line();
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
    const MutexLock lock(KVMPV_MUTEX_STEAL);
    const StealCharge<TaskWho>* charges = nullptr;
    u32 count = 0;
    const Summary sum = steal_tasks::summarize(charges, count);
    write_head(out, sum);
    TaskTable table(out, kColumns);
    for (u32 i = 0; i < count; ++i) {
        const kvmpv_task& task = charges[i].who.task;
        char name[kTaskNameSize];
        table.cell("task")
            .cell(task.pid)
            .cell(task.tgid)
            .cell(charges[i].ns)
            .cell(task_name(task, name));
    }
    write_part(table, "idle", sum.idle_ns);
    write_part(table, "other", sum.other_ns);
}

void show_steal_cgroups(void* seq) {
    static constexpr Column kColumns[] = {{"what", 6}, {"id", 8}, {"steal_ns", 16}, {"path", 20}};
    Out out = begin_view(seq);
    const MutexLock lock(KVMPV_MUTEX_STEAL);
    const StealCharge<CgroupWho>* charges = nullptr;
    u32 count = 0;
    const Summary sum = steal_tasks::summarize(charges, count);
    write_head(out, sum);
    CgroupTable table(out, kColumns);
    for (u32 i = 0; i < count; ++i) {
        char path[256];
        const bool is_there = linux_cgroup_path(charges[i].who.id, path, sizeof(path)) == 0;
        table.cell("cgroup")
            .cell(charges[i].who.id)
            .cell(charges[i].ns)
            .cell(is_there ? static_cast<const char*>(path) : "-");
    }
    write_part(table, "idle", sum.idle_ns);
    write_part(table, "other", sum.other_ns);
}

void show_steal_attribution(void* seq) {
    Out out = begin_view(seq);
    FieldTable table(out, kFieldColumns);
    table.cell("on").cell(yes_no(steal_tasks::is_on()));
}

int store_steal_attribution(const char* text) {
    return store_switch(text, [](bool on) { return steal.set_attribution(on); });
}

}  // namespace kvmpv
