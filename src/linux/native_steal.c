// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own steal clock (arch/x86/kernel/kvm.c): its records, what has been accounted, and
 * whether the scheduler asks it.
 */
#include <linux/kernel_stat.h>
#include <linux/percpu.h>
#include <linux/static_call.h>
#include <asm/pgtable_types.h>
#include <uapi/asm/kvm_para.h>

#include <kvmpv/boundary.h>

#include "symbols.h"

/*
 * By its symbol, not by the address in the MSR: the symbol leads to the mapping that the kernel
 * itself uses, also if guest memory is encrypted.
 */
void *linux_native_steal_record(u32 cpu, u64 *physical)
{
	void *record = NULL;

	if (kvmpv_symbols.steal_time)
		record = per_cpu_ptr(kvmpv_symbols.steal_time, cpu);
	*physical = record ? slow_virt_to_phys(record) : 0;
	return record;
}

u64 linux_accounted_steal_ns(u32 cpu)
{
	return READ_ONCE(kcpustat_cpu(cpu).cpustat[CPUTIME_STEAL]);
}

int linux_native_steal_in_force(void)
{
	const struct static_call_key *key = kvmpv_symbols.pv_steal_clock_key;

	const void *target = key ? READ_ONCE(key->func) : NULL;

	if (target && target == kvmpv_symbols.kvm_steal_clock)
		return 1;
	/* Somebody else's function may or may not ask the kernel's own. */
	return target && target == kvmpv_symbols.native_steal_clock ? 0 : -ENOENT;
}
