// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own time.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/timekeeping.h>

#include "../boundary.h"

u64 linux_monotonic_ns(void)
{
	return ktime_get_mono_fast_ns();
}

u64 linux_monotonic_raw_ns(void)
{
	return ktime_get_raw_fast_ns();
}

u64 linux_realtime_ns(void)
{
	return ktime_get_real_ns();
}

u64 linux_tick_ns(void)
{
	return TICK_NSEC;
}
