// SPDX-License-Identifier: GPL-2.0-only
/*
 * The current task, and what C++ has to know about struct task_struct.
 */
#include <linux/cgroup.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/stddef.h>
#include <linux/string.h>

#include <kvmpv/boundary.h>

static_assert(sizeof(((struct kvmpv_task *)NULL)->comm) == TASK_COMM_LEN);
static_assert(sizeof(((struct task_struct *)NULL)->nivcsw) == 8);
#ifdef KVMPV_CURRENT_TASK_IS_PCPU_HOT
static_assert(offsetof(struct pcpu_hot, current_task) == 0);
#endif

/*
 * Never called. Only the C compiler knows the offset, and an asm with operands has to be inside a
 * function. As a symbol, C++ can use the offset in an address without another load.
 */
static noinline void __used define_task_offsets(void)
{
	asm volatile(".globl kvmpv_task_nivcsw\n\t"
		     ".set kvmpv_task_nivcsw, %c0"
		     : : "i" (offsetof(struct task_struct, nivcsw)));
}

/* 0, the number of no cgroup, in a kernel built without cgroups. */
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

/* The name may change during the copy. Its last byte is always 0. */
void linux_current_task(struct kvmpv_task *task)
{
	task->pid = current->pid;
	task->tgid = current->tgid;
	task->start_ns = current->start_boottime;
	task->cgroup = current_cgroup();
	memcpy(task->comm, current->comm, sizeof(task->comm));
}
