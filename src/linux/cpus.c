// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUs: which are there, the per-CPU state, and how to get at all of them.
 */
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/irqflags.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <linux/stop_machine.h>

#include <kvmpv/boundary.h>

#ifndef CONFIG_SMP
#error "kvmpv needs CONFIG_SMP: per-CPU state is found by %gs, which other kernels do not set up"
#endif

const u8 kvmpv_no_clock_record[32] __aligned(8);

/*
 * Not initialised here: the module loader does not relocate per-CPU data (kernel/module/main.c
 * takes SHF_ALLOC from the section first), so a pointer in it would silently be null.
 */
DEFINE_PER_CPU(struct kvmpv_cpu, kvmpv_cpu);

void linux_cpus_lock(void)
{
	cpus_read_lock();
}

void linux_cpus_unlock(void)
{
	cpus_read_unlock();
}

int linux_next_online_cpu(int cpu)
{
	cpu = cpumask_next(cpu, cpu_online_mask);
	return cpu < nr_cpu_ids ? cpu : -1;
}

int linux_next_possible_cpu(int cpu)
{
	cpu = cpumask_next(cpu, cpu_possible_mask);
	return cpu < nr_cpu_ids ? cpu : -1;
}

struct kvmpv_cpu *linux_cpu(u32 cpu)
{
	return per_cpu_ptr(&kvmpv_cpu, cpu);
}

u64 linux_irqs_off(void)
{
	unsigned long flags;

	local_irq_save(flags);
	return flags;
}

void linux_irqs_on(u64 state)
{
	local_irq_restore((unsigned long)state);
}

static int call(void *function)
{
	((void (*)(u32 cpu))function)(smp_processor_id());
	return 0;
}

void linux_stop_cpus(void (*function)(u32 cpu))
{
	stop_machine(call, function, cpu_online_mask);
}

struct call_on_cpu {
	void (*function)(u32 cpu, void *argument);
	void *argument;
};

static void call_with_argument(void *call_on_cpu)
{
	struct call_on_cpu *it = call_on_cpu;

	it->function(smp_processor_id(), it->argument);
}

void linux_call_on_cpu(u32 cpu, void (*function)(u32 cpu, void *argument), void *argument)
{
	struct call_on_cpu it = { function, argument };

	smp_call_function_single(cpu, call_with_argument, &it, 1);
}

/* Traceable: what shows that the CPU did run. */
static void woken(void *unused)
{
}

/* Waits, or the call could come after the module has gone. */
void linux_wake_cpu(u32 cpu)
{
	smp_call_function_single(cpu, woken, NULL, 1);
}
