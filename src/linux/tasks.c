// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tasks: which one runs.
 */
#include <linux/cgroup.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/string.h>

#include <kvmpv/boundary.h>

static_assert(sizeof(((struct kvmpv_task *)NULL)->comm) == TASK_COMM_LEN);

/* 0, which no cgroup has, in a kernel that was built without them. */
static u64 current_cgroup(void)
{
	u64 id = 0;

#ifdef CONFIG_CGROUPS
	rcu_read_lock();
	id = cgroup_id(task_dfl_cgroup(current));
	rcu_read_unlock();
#endif
	return id;
}

/* The name may be changing meanwhile; its last byte is always 0. */
void linux_current_task(struct kvmpv_task *task)
{
	task->pid = current->pid;
	task->tgid = current->tgid;
	task->start_ns = current->start_boottime;
	task->cgroup = current_cgroup();
	memcpy(task->comm, current->comm, sizeof(task->comm));
}
