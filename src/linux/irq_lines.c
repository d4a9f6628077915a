// SPDX-License-Identifier: GPL-2.0-only
/*
 * How often the IOAPICs' lines have interrupted a CPU.
 */
#include <linux/irq.h>
#include <linux/rcupdate.h>
#include <linux/static_call.h>

#include <kvmpv/boundary.h>

#include "symbols.h"

/* Not exported either, so it is called through a static call, for the reason given in symbols.c. */
typedef unsigned int count_fn(unsigned int irq, int cpu);
DEFINE_STATIC_CALL_NULL(kvmpv_kstat_irqs_cpu, *(count_fn *)NULL);

void linux_ioapic_lines_prepare(void)
{
	if (kvmpv_symbols.kstat_irqs_cpu)
		__static_call_update(&STATIC_CALL_KEY(kvmpv_kstat_irqs_cpu),
				     STATIC_CALL_TRAMP_ADDR(kvmpv_kstat_irqs_cpu),
				     kvmpv_symbols.kstat_irqs_cpu);
}

u64 linux_ioapic_line_interrupts(u32 line, u32 cpu, bool *is_level)
{
	struct irq_data *data;
	u64 count = 0;

	/* RCU keeps the description of a line that is being freed. */
	rcu_read_lock();
	data = irq_get_irq_data(line);
	*is_level = data && irqd_is_level_type(data);
	if (data && kvmpv_symbols.kstat_irqs_cpu)
		count = static_call(kvmpv_kstat_irqs_cpu)(line, cpu);
	rcu_read_unlock();
	return count;
}
