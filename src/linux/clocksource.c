// SPDX-License-Identifier: GPL-2.0-only
/*
 * The clocksource "kvmpv".
 */
#include <linux/clocksource.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/time64.h>

#include <kvmpv/boundary.h>

#include "symbols.h"

static bool is_current;

static int enable(struct clocksource *cs)
{
	WRITE_ONCE(is_current, true);
	return 0;
}

static void disable(struct clocksource *cs)
{
	WRITE_ONCE(is_current, false);
}

static void suspend(struct clocksource *cs)
{
	kvmpv_clock_suspend(smp_processor_id());
}

static void resume(struct clocksource *cs)
{
	kvmpv_clock_resume(smp_processor_id());
}

/*
 * enable() and disable() are called when timekeeping takes the clocksource up and gives it up, both
 * before clocksource_change_rating() or a write to current_clocksource returns.
 *
 * Not MUST_VERIFY, like native kvm-clock: the watchdog would hold the host's preemption of the
 * vCPU against the clock.
 */
static struct clocksource clocksource = {
	.name = "kvmpv",
	.mask = CLOCKSOURCE_MASK(64),
	.flags = CLOCK_SOURCE_IS_CONTINUOUS,
	.enable = enable,
	.disable = disable,
	.suspend = suspend,
	.resume = resume,
	.owner = THIS_MODULE,
};

int linux_clocksource_register(kvmpv_clock_read_fn read, int rating, bool vdso)
{
	clocksource.vdso_clock_mode = vdso ? VDSO_CLOCKMODE_PVCLOCK : VDSO_CLOCKMODE_NONE;
	clocksource.read = read;
	clocksource.rating = rating;
	return clocksource_register_hz(&clocksource, NSEC_PER_SEC);
}

/*
 * tk_clock_read() loads the callback for each read, and update_vsyscall() the mode at each update
 * of timekeeping, hence no lock: both answers are right before and after.
 */
void linux_clocksource_set_path(kvmpv_clock_read_fn read, bool vdso)
{
	WRITE_ONCE(clocksource.vdso_clock_mode,
		   vdso ? VDSO_CLOCKMODE_PVCLOCK : VDSO_CLOCKMODE_NONE);
	WRITE_ONCE(clocksource.read, read);
}

void linux_clocksource_set_rating(int rating)
{
	clocksource_change_rating(&clocksource, rating);
}

bool linux_clocksource_is_current(void)
{
	return READ_ONCE(is_current);
}

/* Neither is taken under the kernel's lock: both are looked at, not followed. */
int linux_clocksource_is_watchdog(bool *judges)
{
	const struct list_head *watched = kvmpv_symbols.watchdog_list;

	if (!kvmpv_symbols.watchdog || !watched)
		return -ENOENT;
	*judges = READ_ONCE(watched->next) != watched;
	return READ_ONCE(*kvmpv_symbols.watchdog) == &clocksource;
}

/* The module that it is of cannot go while it is current, and not without waiting for RCU later. */
int linux_clocksource_current_name(char *name, u32 size)
{
	if (!kvmpv_symbols.curr_clocksource)
		return -ENOENT;
	rcu_read_lock();
	strscpy(name, READ_ONCE(*kvmpv_symbols.curr_clocksource)->name, size);
	rcu_read_unlock();
	return 0;
}

int linux_clocksource_unregister(void)
{
	return clocksource_unregister(&clocksource);
}

/*
 * Timekeeping reads with preemption on. A task that was preempted inside the callback, which is no
 * RCU reader, may be there long after the kernel has left the clocksource; only tasks RCU knows it:
 * it waits until every task has slept, been in user space or ended. Where no kernel code is
 * preempted it is synchronize_rcu().
 */
void linux_clocksource_wait_for_readers(void)
{
	synchronize_rcu_tasks();
}
