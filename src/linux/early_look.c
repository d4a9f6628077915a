// SPDX-License-Identifier: GPL-2.0-only
/*
 * A look at this CPU's record, asked for in a context that may only queue it.
 *
 * The irq_work is lazy. A tick runs such work after it has asked for the look, so no interrupt is
 * needed. If the look is asked for elsewhere, the next tick runs it, or it runs at once if the tick
 * has stopped.
 */
#include <linux/irq_work.h>
#include <linux/percpu.h>
#include <linux/smp.h>

#include "../boundary.h"

static DEFINE_PER_CPU(struct irq_work, work_of);

static void look(struct irq_work *unused)
{
	kvmpv_look_early(raw_smp_processor_id());
}

void linux_early_look_start(u32 cpu)
{
	*per_cpu_ptr(&work_of, cpu) = IRQ_WORK_INIT_LAZY(look);
}

void linux_early_look_ask(void)
{
	irq_work_queue(this_cpu_ptr(&work_of));
}

void linux_early_look_stop(u32 cpu)
{
	struct irq_work *work = per_cpu_ptr(&work_of, cpu);

	if (work->func)
		irq_work_sync(work);
}
