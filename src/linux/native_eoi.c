// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the EOI callback needs of the kernel. Compiled without ftrace (Kbuild), like the callback
 * itself.
 */
#include <linux/sched.h>
#include <linux/static_call.h>

#include <kvmpv/boundary.h>

#include "compat.h"

/*
 * A static call, so that the call is direct. The kernel's own call of its callback is a retpoline
 * before 6.5, and direct since then.
 */
#ifdef KVMPV_APIC_STATIC_CALLS
DEFINE_STATIC_CALL_NULL(kvmpv_eoi_write, *apic->native_eoi);

int linux_eoi_write_prepare(void)
{
	if (!apic->native_eoi)
		return -ENOENT;
	static_call_update(kvmpv_eoi_write, apic->native_eoi);
	return 0;
}

void linux_eoi_write(void)
{
	static_call(kvmpv_eoi_write)();
}
#else
DEFINE_STATIC_CALL_NULL(kvmpv_eoi_write, *apic->eoi_write);

/* If nobody replaced the callback at boot, the current one is the plain one. */
int linux_eoi_write_prepare(void)
{
	static_call_update(kvmpv_eoi_write, apic->native_eoi_write ?: apic->eoi_write);
	return 0;
}

void linux_eoi_write(void)
{
	static_call(kvmpv_eoi_write)(APIC_EOI, APIC_EOI_ACK);
}
#endif

bool linux_in_idle(void)
{
	return is_idle_task(current);
}
