// SPDX-License-Identifier: GPL-2.0-only
/*
 * A mutex for each who is asked, or changed, on demand.
 */
#include <linux/mutex.h>

#include <kvmpv/boundary.h>

#define MUTEX(which) [which] = __MUTEX_INITIALIZER(mutexes[which])

static struct mutex mutexes[KVMPV_NUM_MUTEXES] = {
	MUTEX(KVMPV_MUTEX_CLOCK),
	MUTEX(KVMPV_MUTEX_OTHER_CLOCKS),
	MUTEX(KVMPV_MUTEX_WALL_CLOCK),
	MUTEX(KVMPV_MUTEX_STEAL),
	MUTEX(KVMPV_MUTEX_EOI),
};

void linux_mutex_lock(u32 which)
{
	mutex_lock(&mutexes[which]);
}

void linux_mutex_unlock(u32 which)
{
	mutex_unlock(&mutexes[which]);
}
