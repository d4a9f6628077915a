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
 * before a change of its rating or a write to current_clocksource returns.
 *
 * Like native kvm-clock it does not have CLOCK_SOURCE_MUST_VERIFY: the watchdog would blame the
 * clock when the host preempts the vCPU.
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

/* Unbinding removes it from the kernel's list, and nothing else tells us so. */
bool linux_clocksource_is_registered(void)
{
	return !list_empty_careful(&clocksource.list);
}

/*
 * No lock is needed. tk_clock_read() loads the callback for each read, update_vsyscall() loads the
 * mode at each update of timekeeping, and get_device_system_crosststamp() loads the ID for each
 * timestamp. Before and after a change both the old and the new values are right.
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

#ifdef KVMPV_HAS_CHANGE_RATING
int linux_clocksource_set_rating(int rating)
{
	clocksource_change_rating(&clocksource, rating);
	return 0;
}
#else
/* In its new place in the kernel's list, for whenever the kernel chooses again. */
static int move_in_list(int rating)
{
	struct mutex *lock = kvmpv_symbols.clocksource_mutex;
	struct list_head *all = kvmpv_symbols.clocksource_list;
	struct clocksource *cs;

	if (!lock || !all)
		return -ENOENT;
	mutex_lock(lock);
	if (!list_empty(&clocksource.list)) {
		list_del(&clocksource.list);
		clocksource.rating = rating;
		list_for_each_entry(cs, all, list) {
			if (cs->rating < rating)
				break;
		}
		/* At the end of the list where the loop has found none. */
		list_add_tail(&clocksource.list, &cs->list);
	}
	mutex_unlock(lock);
	return 0;
}

/*
 * The kernel takes a rating only when a clocksource is registered. It does not unregister one that
 * it cannot do without, and that one it would not have left for another rating either.
 */
int linux_clocksource_set_rating(int rating)
{
	int error = clocksource_unregister(&clocksource);

	if (error)
		return error == -EBUSY ? move_in_list(rating) : error;
	clocksource.rating = rating;
	return clocksource_register_hz(&clocksource, NSEC_PER_SEC);
}
#endif

bool linux_clocksource_is_current(void)
{
	return READ_ONCE(is_current);
}

/*
 * Read without the kernel's lock. The buffer always ends with a NUL, and it does no harm if a name
 * is being written meanwhile.
 */
int linux_clocksource_is_named(void)
{
	if (!kvmpv_symbols.override_name)
		return -ENOENT;
	return !strncmp(kvmpv_symbols.override_name, clocksource.name, sizeof("kvmpv"));
}

/* The condition of clocksource_find_best() once the kernel uses high-resolution timers. */
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

/*
 * The condition of clocksource_select_watchdog(). In kernels that define CLOCK_SOURCE_WDTEST it has
 * been rewritten, and also requires a continuous clocksource.
 */
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

/* Read without the kernel's lock: both pointers are compared, but never followed. */
int linux_clocksource_is_watchdog(bool *judges)
{
	const struct list_head *watched = kvmpv_symbols.watchdog_list;

	if (!kvmpv_symbols.watchdog || !watched)
		return -ENOENT;
	*judges = READ_ONCE(watched->next) != watched;
	return READ_ONCE(*kvmpv_symbols.watchdog) == &clocksource;
}

/*
 * RCU is enough: a module cannot be unloaded while its clocksource is current, and after that its
 * unloading waits for RCU.
 */
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
 * Timekeeping calls the callback with preemption on, and not as an RCU reader. So a task that was
 * preempted inside the callback may still be there long after the kernel has left the clocksource.
 * Only tasks RCU covers that: it waits until every task has slept, been in user space or exited. In
 * a kernel that does not preempt kernel code it is synchronize_rcu().
 */
void linux_clocksource_wait_for_readers(void)
{
	synchronize_rcu_tasks();
}
