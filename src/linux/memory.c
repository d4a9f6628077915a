// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory for the module itself.
 */
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include <kvmpv/boundary.h>

void *linux_memory_create(u64 size)
{
	return vzalloc(size);
}

void linux_memory_destroy(void *memory)
{
	vfree(memory);
}
