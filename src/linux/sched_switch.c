// SPDX-License-Identifier: GPL-2.0-only
/*
 * Context switches. The tracepoint is not exported, but the kernel can list all of its own.
 */
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#include <kvmpv/boundary.h>

static struct tracepoint *sched_switch;

static void find(struct tracepoint *tracepoint, void *unused)
{
	if (!strcmp(tracepoint->name, "sched_switch"))
		sched_switch = tracepoint;
}

static void switched(void *unused, bool preempt, struct task_struct *prev,
		     struct task_struct *next, unsigned int prev_state)
{
	kvmpv_task_switch();
}

int linux_task_switches_enable(void)
{
	if (!sched_switch)
		for_each_kernel_tracepoint(find, NULL);
	return sched_switch ? tracepoint_probe_register(sched_switch, switched, NULL) : -ENOENT;
}

void linux_task_switches_disable(void)
{
	tracepoint_probe_unregister(sched_switch, switched, NULL);
	tracepoint_synchronize_unregister();
}
