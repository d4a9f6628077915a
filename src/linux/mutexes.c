// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mutexes of enum kvmpv_mutex.
 */
#include <linux/mutex.h>

#include "../boundary.h"

static struct mutex mutexes[KVMPV_NUM_MUTEXES] = {
	[KVMPV_MUTEX_CLOCK] = __MUTEX_INITIALIZER(mutexes[KVMPV_MUTEX_CLOCK]),
	[KVMPV_MUTEX_OTHER_CLOCKS] = __MUTEX_INITIALIZER(mutexes[KVMPV_MUTEX_OTHER_CLOCKS]),
	[KVMPV_MUTEX_WALL_CLOCK] = __MUTEX_INITIALIZER(mutexes[KVMPV_MUTEX_WALL_CLOCK]),
	[KVMPV_MUTEX_PAIRING] = __MUTEX_INITIALIZER(mutexes[KVMPV_MUTEX_PAIRING]),
	[KVMPV_MUTEX_STEAL] = __MUTEX_INITIALIZER(mutexes[KVMPV_MUTEX_STEAL]),
	[KVMPV_MUTEX_EOI] = __MUTEX_INITIALIZER(mutexes[KVMPV_MUTEX_EOI]),
	[KVMPV_MUTEX_ASYNC_PF] = __MUTEX_INITIALIZER(mutexes[KVMPV_MUTEX_ASYNC_PF]),
	[KVMPV_MUTEX_HALT_POLL] = __MUTEX_INITIALIZER(mutexes[KVMPV_MUTEX_HALT_POLL]),
	[KVMPV_MUTEX_SAMPLER] = __MUTEX_INITIALIZER(mutexes[KVMPV_MUTEX_SAMPLER]),
	[KVMPV_MUTEX_IPI] = __MUTEX_INITIALIZER(mutexes[KVMPV_MUTEX_IPI]),
	[KVMPV_MUTEX_FOLLOWERS] = __MUTEX_INITIALIZER(mutexes[KVMPV_MUTEX_FOLLOWERS]),
};

void linux_mutex_lock(u32 which)
{
	mutex_lock(&mutexes[which]);
}

void linux_mutex_unlock(u32 which)
{
	mutex_unlock(&mutexes[which]);
}
