// SPDX-License-Identifier: GPL-2.0-only
/*
 * A timer for the end of a hold, whose callback may sleep.
 */
#include <linux/jiffies.h>
#include <linux/workqueue.h>

#include "../boundary.h"

#include "compat.h"

static void due(struct work_struct *unused)
{
	kvmpv_hold_is_due();
}

static DECLARE_DELAYED_WORK(timer, due);

/* Rounded up: a timer that runs early would only have to be set again. */
void linux_hold_timer_set(u64 ns)
{
	mod_delayed_work(kvmpv_percpu_wq, &timer, nsecs_to_jiffies(ns) + 1);
}

void linux_hold_timer_stop(void)
{
	cancel_delayed_work_sync(&timer);
}
