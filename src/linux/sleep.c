// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting.
 */
#include <linux/delay.h>
#include <linux/sched.h>

#include <kvmpv/boundary.h>

void linux_msleep(u32 ms)
{
	msleep(ms);
}

void linux_cond_resched(void)
{
	cond_resched();
}
