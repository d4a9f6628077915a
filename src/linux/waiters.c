// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that wait for an event by poll(2).
 */
#include <linux/poll.h>
#include <linux/wait.h>

#include "../boundary.h"

#include "waiters.h"

static DECLARE_WAIT_QUEUE_HEAD(waiters);

void kvmpv_waiters_add(struct file *file, struct poll_table_struct *table)
{
	poll_wait(file, &waiters, table);
}

void linux_waiters_wake(void)
{
	wake_up_interruptible_poll(&waiters, EPOLLERR | EPOLLPRI);
}
