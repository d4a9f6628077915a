// SPDX-License-Identifier: GPL-2.0-only
/*
 * While this is loaded, every clocksource but "kvmpv" is marked as one that the watchdog has to
 * verify. So none of them can be the watchdog. A kernel that accepts only continuous clocksources
 * as watchdog is in the same position in a guest that has no other one.
 */
#include <linux/clocksource.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/string.h>

#include "../../kunit/find_symbol.h"

#define MAX_CLOCKS 16

static struct clocksource *marked[MAX_CLOCKS];
static unsigned int count;
static struct mutex *lock;

static int __init lone_judge_init(void)
{
	struct clocksource *cs;
	struct list_head *all;
	int err = learn_symbols();

	if (err)
		return err;
	lock = find_symbol("clocksource_mutex");
	all = find_symbol("clocksource_list");
	if (!lock || !all)
		return -ENOENT;
	mutex_lock(lock);
	list_for_each_entry(cs, all, list) {
		if (!strcmp(cs->name, "kvmpv") || cs->flags & CLOCK_SOURCE_MUST_VERIFY ||
		    count == MAX_CLOCKS)
			continue;
		cs->flags |= CLOCK_SOURCE_MUST_VERIFY;
		marked[count++] = cs;
	}
	mutex_unlock(lock);
	return 0;
}

static void __exit lone_judge_exit(void)
{
	mutex_lock(lock);
	while (count)
		marked[--count]->flags &= ~CLOCK_SOURCE_MUST_VERIFY;
	mutex_unlock(lock);
}

module_init(lone_judge_init);
module_exit(lone_judge_exit);

MODULE_DESCRIPTION("Leaves the kernel no clocksource but kvmpv's as its watchdog");
MODULE_LICENSE("GPL");
