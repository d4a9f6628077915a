// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUs: which ones there are, their per-CPU state, and interrupts on this CPU.
 */
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/irqflags.h>
#include <linux/percpu.h>
#include <linux/sched/isolation.h>
#include <linux/smp.h>

#include "../boundary.h"

#ifndef CONFIG_SMP
#error "kvmpv needs CONFIG_SMP: per-CPU state is found by %gs, which other kernels do not set up"
#endif

const u8 kvmpv_no_clock_record[32] __aligned(8);

/*
 * Not initialised here: the module loader does not relocate per-CPU data (kernel/module/main.c
 * first clears SHF_ALLOC of that section), so a pointer in it would silently be null.
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

bool linux_cpu_is_isolated(u32 cpu)
{
	return !housekeeping_cpu(cpu, HK_TYPE_DOMAIN) || !housekeeping_cpu(cpu, HK_TYPE_TICK);
}

u32 linux_this_cpu(void)
{
	return raw_smp_processor_id();
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
