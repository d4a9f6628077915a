// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control groups of the unified hierarchy (v2).
 */
#include <linux/cgroup.h>
#include <linux/err.h>

#include "../boundary.h"

int linux_cgroup_path(u64 id, char *text, u32 size)
{
#ifdef CONFIG_CGROUPS
	struct cgroup *cgroup = cgroup_get_from_id(id);
	int length;

	if (IS_ERR(cgroup))
		return PTR_ERR(cgroup);
	length = cgroup_path(cgroup, text, size);
	cgroup_put(cgroup);
	/* If it was cut off, kernels return its full length, that of the rest, or an error. */
	if (length == -E2BIG || length + 1 >= (int)size)
		return -ENAMETOOLONG;
	return length < 0 ? length : 0;
#else
	return -ENOENT;
#endif
}
