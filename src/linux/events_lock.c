// SPDX-License-Identifier: GPL-2.0-only
/*
 * The lock of the event ring.
 */
#include <linux/spinlock.h>

#include <kvmpv/boundary.h>

static DEFINE_RAW_SPINLOCK(events_lock);

u64 linux_events_lock(void)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&events_lock, flags);
	return flags;
}

void linux_events_unlock(u64 state)
{
	raw_spin_unlock_irqrestore(&events_lock, (unsigned long)state);
}
