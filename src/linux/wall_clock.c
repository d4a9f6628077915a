// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel knows of the wall clock: where it asks the host itself, and the time of day.
 */
#include <linux/ktime.h>
#include <linux/timekeeping.h>
#include <asm/io.h>

#include <kvmpv/boundary.h>

#include "symbols.h"

u64 linux_native_wall_clock_physical(void)
{
	return kvmpv_symbols.wall_clock ? slow_virt_to_phys(kvmpv_symbols.wall_clock) : 0;
}

u64 linux_realtime_ns(void)
{
	return ktime_get_real_ns();
}
