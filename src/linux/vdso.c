// SPDX-License-Identifier: GPL-2.0-only
/*
 * What lets user space read the clock without a system call: the page with CPU 0's record, and the
 * bit that lets the kernel map it (arch/x86/entry/vdso/vma.c). Without either, a process that reads
 * the time gets SIGBUS.
 */
#include <linux/bits.h>
#include <linux/clocksource.h>
#include <asm/pvclock.h>

#include "../boundary.h"

#include "symbols.h"

const void *linux_vdso_page(void)
{
	return pvclock_get_pvti_cpu0_va();
}

int linux_vdso_publish_page(const void *page)
{
	if (!kvmpv_symbols.pvti_cpu0_va)
		return -ENOENT;
	WRITE_ONCE(*kvmpv_symbols.pvti_cpu0_va, (struct pvclock_vsyscall_time_info *)page);
	return 0;
}

int linux_vdso_allow_mapping(void)
{
	unsigned int *used = kvmpv_symbols.vclocks_used;

	if (!used)
		return -ENOENT;
	WRITE_ONCE(*used, READ_ONCE(*used) | BIT(VDSO_CLOCKMODE_PVCLOCK));
	return 0;
}
