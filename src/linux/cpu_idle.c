// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver that decides how an idle CPU waits.
 */
#include <linux/cpuidle.h>
#include <linux/rcupdate.h>
#include <linux/string.h>

#include "../boundary.h"

/* The name is in the memory of the driver's module, which is freed after an RCU grace period. */
void linux_cpuidle_driver_name(char *name, u32 size)
{
	struct cpuidle_driver *driver;

	rcu_read_lock();
	driver = cpuidle_get_driver();
	strscpy(name, driver ? driver->name : "", size);
	rcu_read_unlock();
}
