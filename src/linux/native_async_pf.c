// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own handling of async page faults (arch/x86/kernel/kvm.c): its records, and the
 * interrupt that tells it that a page has come.
 */
#include <linux/errno.h>
#include <linux/hardirq.h>
#include <linux/percpu.h>
#include <asm/pgtable_types.h>
#include <uapi/asm/kvm_para.h>

#include "../boundary.h"

#include "symbols.h"

/* By its symbol, for the same reason as the record of steal time. */
const void *linux_native_apf_record(u32 cpu, u64 *physical)
{
	void *record = NULL;

	if (kvmpv_symbols.apf_reason)
		record = per_cpu_ptr(kvmpv_symbols.apf_reason, cpu);
	*physical = record ? slow_virt_to_phys(record) : 0;
	return record;
}

s64 linux_hypervisor_interrupts(u32 cpu)
{
#if !defined(CONFIG_X86_HV_CALLBACK_VECTOR)
	return -ENOENT;
#elif defined(KVMPV_IRQ_STAT_IS_ARRAY)
	return READ_ONCE(per_cpu(irq_stat, cpu).counts[IRQ_COUNT_HYPERVISOR_CALLBACK]);
#else
	return READ_ONCE(per_cpu(irq_stat, cpu).irq_hv_callback_count);
#endif
}
