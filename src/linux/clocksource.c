// SPDX-License-Identifier: GPL-2.0-only
/*
 * The clocksource "kvmpv".
 */
#include <linux/clocksource.h>
#include <linux/module.h>
#include <linux/mutex.h>
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
	.list = LIST_HEAD_INIT(clocksource.list),
	.mask = CLOCKSOURCE_MASK(64),
	.flags = CLOCK_SOURCE_IS_CONTINUOUS,
	.enable = enable,
	.disable = disable,
	.suspend = suspend,
	.resume = resume,
	.owner = THIS_MODULE,
};

bool linux_clocksource_has_ids(void)
{
#ifdef KVMPV_HAS_KVM_CLOCK_ID
	return true;
#else
	return false;
#endif
}

int linux_clocksource_register(const struct linux_clock_path *path, int rating)
{
	linux_clocksource_set_path(path);
	clocksource.rating = rating;
	return clocksource_register_hz(&clocksource, NSEC_PER_SEC);
}

/* Unbinding takes it out of the kernel's list, and nothing else is told of that. */
bool linux_clocksource_is_registered(void)
{
	return !list_empty_careful(&clocksource.list);
}

/*
 * tk_clock_read() loads the callback for each read, update_vsyscall() the mode at each update of
 * timekeeping, and get_device_system_crosststamp() the number for each stamp, hence no lock: both
 * answers are right before and after.
 */
void linux_clocksource_set_path(const struct linux_clock_path *path)
{
#ifdef KVMPV_HAS_KVM_CLOCK_ID
	WRITE_ONCE(clocksource.id, path->is_kvm_clock ? CSID_X86_KVM_CLK : CSID_GENERIC);
#endif
	WRITE_ONCE(clocksource.vdso_clock_mode,
		   path->vdso ? VDSO_CLOCKMODE_PVCLOCK : VDSO_CLOCKMODE_NONE);
	WRITE_ONCE(clocksource.read, path->read);
}

void linux_clocksource_set_rating(int rating)
{
	clocksource_change_rating(&clocksource, rating);
}

bool linux_clocksource_is_current(void)
{
	return READ_ONCE(is_current);
}

/* The kernel's buffer always ends with a NUL; a name that is just being written is no harm. */
int linux_clocksource_is_named(void)
{
	if (!kvmpv_symbols.override_name)
		return -ENOENT;
	return !strncmp(kvmpv_symbols.override_name, clocksource.name, sizeof("kvmpv"));
}

/* As clocksource_find_best() has it, once the kernel has begun with such timers. */
int linux_clocksource_has_other(void)
{
	struct mutex *lock = kvmpv_symbols.clocksource_mutex;
	struct list_head *all = kvmpv_symbols.clocksource_list;
	struct clocksource *cs;
	int has_other = 0;

	if (!lock || !all)
		return -ENOENT;
	mutex_lock(lock);
	list_for_each_entry(cs, all, list) {
		if (cs != &clocksource && cs->flags & CLOCK_SOURCE_VALID_FOR_HRES)
			has_other = 1;
	}
	mutex_unlock(lock);
	return has_other;
}

/* As clocksource_select_watchdog() has it; since its rewrite it wants continuous ones. */
static bool can_judge(const struct clocksource *cs)
{
#ifdef CLOCK_SOURCE_WDTEST
	if (!(cs->flags & CLOCK_SOURCE_IS_CONTINUOUS))
		return false;
#endif
	return !(cs->flags & CLOCK_SOURCE_MUST_VERIFY);
}

int linux_clocksource_is_indispensable(void)
{
	struct mutex *lock = kvmpv_symbols.clocksource_mutex;
	struct list_head *all = kvmpv_symbols.clocksource_list;
	struct clocksource *cs;
	int indispensable;

	if (!kvmpv_symbols.watchdog || !lock || !all)
		return -ENOENT;
	mutex_lock(lock);
	indispensable = READ_ONCE(*kvmpv_symbols.watchdog) == &clocksource;
	list_for_each_entry(cs, all, list) {
		if (cs != &clocksource && can_judge(cs))
			indispensable = 0;
	}
	mutex_unlock(lock);
	return indispensable;
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

int linux_clocksource_is_read_by_vdso(void)
{
	int is_read;

	if (!kvmpv_symbols.curr_clocksource)
		return -ENOENT;
	rcu_read_lock();
	is_read = READ_ONCE(READ_ONCE(*kvmpv_symbols.curr_clocksource)->vdso_clock_mode) ==
		  VDSO_CLOCKMODE_PVCLOCK;
	rcu_read_unlock();
	return is_read;
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
