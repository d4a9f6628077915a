// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own kvmclock (arch/x86/kernel/kvmclock.c): its records, its rating and the address
 * of its wall clock.
 */
#include <linux/clocksource.h>
#include <linux/percpu.h>
#include <asm/pgtable_types.h>
#include <asm/pvclock.h>
#include <asm/kvmclock.h> /* uses the types of pvclock.h without including it */

#include <kvmpv/boundary.h>

#include "symbols.h"

static_assert(sizeof(kvmpv_no_clock_record) == sizeof(struct pvclock_vcpu_time_info));

#ifdef CONFIG_KVM_GUEST

const void *linux_native_clock_record(u32 cpu, u64 *physical)
{
	struct pvclock_vsyscall_time_info *info = per_cpu(hv_clock_per_cpu, cpu);

	*physical = info ? slow_virt_to_phys(&info->pvti) : 0;
	return info ? &info->pvti : NULL;
}

void linux_native_clock_publish(u32 cpu, const void *record)
{
	WRITE_ONCE(per_cpu(hv_clock_per_cpu, cpu), (struct pvclock_vsyscall_time_info *)record);
}

#else

/* A kernel built without kvmclock has no records. */
const void *linux_native_clock_record(u32 cpu, u64 *physical)
{
	*physical = 0;
	return NULL;
}

void linux_native_clock_publish(u32 cpu, const void *record)
{
}

#endif

/* The name is the proof that the symbol is what we take it for. */
static const struct clocksource *native_clock(void)
{
	const struct clocksource *kvm_clock = kvmpv_symbols.kvm_clock;

	return kvm_clock && !strcmp(kvm_clock->name, "kvm-clock") ? kvm_clock : NULL;
}

int linux_native_clock_rating(void)
{
	return native_clock() ? native_clock()->rating : -ENOENT;
}

int linux_native_clock_is_read_by_vdso(void)
{
	return native_clock() ? native_clock()->vdso_clock_mode == VDSO_CLOCKMODE_PVCLOCK : -ENOENT;
}

u64 linux_native_wall_clock_physical(void)
{
	return kvmpv_symbols.wall_clock ? slow_virt_to_phys(kvmpv_symbols.wall_clock) : 0;
}
