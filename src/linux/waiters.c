// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who waits for an event by poll(2).
 *
 * An event is noted under a raw spinlock and with interrupts off, where a kernel with PREEMPT_RT
 * can wake nobody. So that is left to an irq_work.
 */
#include <linux/irq_work.h>
#include <linux/poll.h>
#include <linux/wait.h>

#include "../boundary.h"

#include "waiters.h"

static DECLARE_WAIT_QUEUE_HEAD(waiters);

static void wake(struct irq_work *unused)
{
	wake_up_interruptible_poll(&waiters, EPOLLERR | EPOLLPRI);
}

static DEFINE_IRQ_WORK(wake_work, wake);

void kvmpv_waiters_add(struct file *file, struct poll_table_struct *table)
{
	poll_wait(file, &waiters, table);
}

void linux_waiters_wake(void)
{
	/*
	 * The caller holds the lock of the events, which a waiter takes between joining the queue
	 * and its look at them. So either it is seen here, or it sees the event.
	 */
	if (waitqueue_active(&waiters))
		irq_work_queue(&wake_work);
}

void linux_waiters_finish(void)
{
	irq_work_sync(&wake_work);
}
