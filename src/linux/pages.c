// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory shared with the host, by its guest-physical address.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>
#include <asm/pgtable.h>
#include <asm/processor.h>

#include <kvmpv/boundary.h>

#define MAX_PAGES 2

/*
 * A mapping of its own rather than the direct map: that one is encrypted where guest memory is, and
 * writable everywhere.
 */
static void *map_pages(u64 first_frame, unsigned int count)
{
	struct page *pages[MAX_PAGES];
	unsigned int i;

	for (i = 0; i < count; i++)
		pages[i] = pfn_to_page(first_frame + i);
	return vmap(pages, count, VM_MAP, pgprot_decrypted(PAGE_KERNEL_RO));
}

int linux_map_shared(u64 physical, u32 size, struct linux_mapping *mapping)
{
	u64 last = physical + size - 1;
	u64 first_frame = physical >> PAGE_SHIFT;
	unsigned int count = (last >> PAGE_SHIFT) - first_frame + 1;

	if (last < physical || last >> boot_cpu_data.x86_phys_bits || count > MAX_PAGES)
		return -EINVAL;

	mapping->is_vmap = pfn_valid(first_frame) && pfn_valid(last >> PAGE_SHIFT);
	if (mapping->is_vmap)
		mapping->base = map_pages(first_frame, count);
	else
		mapping->base = memremap(physical & PAGE_MASK, count << PAGE_SHIFT, MEMREMAP_WB);
	if (!mapping->base)
		return -ENOMEM;
	mapping->address = mapping->base + offset_in_page(physical);
	return 0;
}

void linux_unmap_shared(struct linux_mapping *mapping)
{
	if (mapping->is_vmap)
		vunmap(mapping->base);
	else
		memunmap(mapping->base);
}
