// SPDX-License-Identifier: GPL-2.0-only
//
// Whom lost time is charged to: a task, a cgroup.

#pragma once

#include "boundary.h"
#include "kvmpv/charge_table.hh"

namespace kvmpv {

struct TaskWho {
    kvmpv_task task;

    bool same(const TaskWho& other) const {
        return task.pid == other.task.pid && task.start_ns == other.task.start_ns;
    }
    bool before(const TaskWho& other) const {
        return task.pid != other.task.pid ? task.pid < other.task.pid
                                          : task.start_ns < other.task.start_ns;
    }
    u64 hash() const { return task.pid; }
};

struct CgroupWho {
    u64 id;

    bool same(const CgroupWho& other) const { return id == other.id; }
    bool before(const CgroupWho& other) const { return id < other.id; }
    u64 hash() const { return id; }
};

}  // namespace kvmpv
