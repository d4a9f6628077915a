// SPDX-License-Identifier: GPL-2.0-only
/*
 * A mutex for what is asked on demand.
 */
#include <linux/mutex.h>

#include <kvmpv/boundary.h>

static DEFINE_MUTEX(lock);

void linux_ask_lock(void)
{
	mutex_lock(&lock);
}

void linux_ask_unlock(void)
{
	mutex_unlock(&lock);
}
