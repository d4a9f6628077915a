// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's side of a question to the host's wall clock: one asker at a time, and the kernel's
 * own idea of the time of day.
 */
#include <linux/mutex.h>
#include <linux/ktime.h>
#include <linux/timekeeping.h>
#include <asm/io.h>

#include <kvmpv/boundary.h>

#include "symbols.h"

static DEFINE_MUTEX(lock);

void linux_wall_clock_lock(void)
{
	mutex_lock(&lock);
}

void linux_wall_clock_unlock(void)
{
	mutex_unlock(&lock);
}

u64 linux_native_wall_clock_physical(void)
{
	return kvmpv_symbols.wall_clock ? slow_virt_to_phys(kvmpv_symbols.wall_clock) : 0;
}

u64 linux_realtime_ns(void)
{
	return ktime_get_real_ns();
}
