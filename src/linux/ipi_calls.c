// SPDX-License-Identifier: GPL-2.0-only
/*
 * Function calls to several CPUs at once, as the kernel's tracepoint reports them (since 6.4).
 */
#include <linux/cpumask.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#include "../boundary.h"

static struct tracepoint *ipi_send_cpumask;

static void find(struct tracepoint *tracepoint, void *unused)
{
	if (!strcmp(tracepoint->name, "ipi_send_cpumask"))
		ipi_send_cpumask = tracepoint;
}

/* @mask does not contain the calling CPU. */
static void called(void *unused, const struct cpumask *mask, unsigned long callsite, void *callback)
{
	kvmpv_ipi_call(cpumask_weight(mask) + 1 >= num_online_cpus());
}

int linux_ipi_calls_enable(void)
{
	if (!ipi_send_cpumask)
		for_each_kernel_tracepoint(find, NULL);
	return ipi_send_cpumask ? tracepoint_probe_register(ipi_send_cpumask, called, NULL) :
				  -ENODEV;
}

void linux_ipi_calls_disable(void)
{
	tracepoint_probe_unregister(ipi_send_cpumask, called, NULL);
	tracepoint_synchronize_unregister();
}
