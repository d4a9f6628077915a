// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory shared with the host, by its guest-physical address.
 */
#include <linux/cc_platform.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>
#include <asm/pgtable.h>
#include <asm/processor.h>
#include <asm/set_memory.h>

#include <kvmpv/boundary.h>

#define MAX_PAGES 2

/*
 * A mapping of its own, not the direct map, which is encrypted if guest memory is, and writable
 * everywhere.
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

int linux_area_create(u32 size, struct linux_area *area)
{
	struct page *page;
	int error;

	area->order = get_order(size);
	page = alloc_pages(GFP_KERNEL | __GFP_ZERO, area->order);
	if (!page)
		return -ENOMEM;
	area->address = page_address(page);
	area->physical = page_to_phys(page);
	if (!cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT))
		return 0;

	error = set_memory_decrypted((unsigned long)area->address, 1 << area->order);
	if (error) {
		linux_area_destroy(area);
		/* The caller destroys whatever has an address, and must not do it again. */
		*area = (struct linux_area){};
		return error;
	}
	/* Zeros that were written while the memory was encrypted read as noise now. */
	memset(area->address, 0, PAGE_SIZE << area->order);
	return 0;
}

void linux_area_adopt(const void *address, struct linux_area *area)
{
	area->order = 0;
	area->address = (void *)address;
	area->physical = virt_to_phys((void *)address);
}

/* Allocated memory is addressed through the direct map, the kernel's variables are not. */
bool linux_is_in_kernel_image(const void *address)
{
	return (unsigned long)address >= __START_KERNEL_map;
}

void linux_area_destroy(struct linux_area *area)
{
	if (cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT) &&
	    set_memory_encrypted((unsigned long)area->address, 1 << area->order))
		return;
	free_pages((unsigned long)area->address, area->order);
}

bool linux_is_kernel_ram(u64 physical)
{
	return page_is_ram(physical >> PAGE_SHIFT);
}
