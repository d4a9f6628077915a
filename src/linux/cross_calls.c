// SPDX-License-Identifier: GPL-2.0-only
/*
 * Running code on other CPUs.
 */
#include <linux/cpumask.h>
#include <linux/smp.h>
#include <linux/stop_machine.h>

#include <kvmpv/boundary.h>

struct call {
	void (*function)(u32 cpu, void *context);
	void *context;
};

static void call_here(void *call)
{
	struct call *it = call;

	it->function(smp_processor_id(), it->context);
}

static int call_stopped(void *call)
{
	call_here(call);
	return 0;
}

void linux_on_each_cpu(void (*function)(u32 cpu, void *context), void *context)
{
	struct call it = { function, context };

	on_each_cpu(call_here, &it, 1);
}

void linux_stop_cpus(void (*function)(u32 cpu, void *context), void *context)
{
	struct call it = { function, context };

	stop_machine(call_stopped, &it, cpu_online_mask);
}

void linux_call_on_cpu(u32 cpu, void (*function)(u32 cpu, void *context), void *context)
{
	struct call it = { function, context };

	smp_call_function_single(cpu, call_here, &it, 1);
}

/* Can be traced, which shows that the CPU did run. */
static void woken(void *unused)
{
}

/* Waits: otherwise the CPU could call woken() after the module has been unloaded. */
void linux_wake_cpu(u32 cpu)
{
	smp_call_function_single(cpu, woken, NULL, 1);
}
