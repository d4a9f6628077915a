// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the end of an interrupt needs of the kernel. Compiled without ftrace (Kbuild), like the
 * callback that calls it.
 */
#include <linux/sched.h>
#include <linux/static_call.h>

#include <kvmpv/boundary.h>

#include "compat.h"

/*
 * A static call, so that it is direct: without one the kernel pays for a retpoline here before 6.5,
 * and nothing since.
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

/* Where nobody replaced the callback at boot, the one in force is the plain one. */
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
