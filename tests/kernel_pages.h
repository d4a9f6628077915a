/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of the kernel's headers as src/linux/pages.c needs in user space (test_pages.py).
 * encrypted_pages.c has the functions.
 */
#ifndef KVMPV_KERNEL_PAGES_H
#define KVMPV_KERNEL_PAGES_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define offset_in_page(address) ((unsigned long)(address) & ~PAGE_MASK)
#define __START_KERNEL_map 0xffffffff80000000UL

/* Memory has one page, at 4 GB. */
struct page {
	u8 bytes[PAGE_SIZE];
};

#define get_order(size) 0
#define page_address(page) ((void *)(page)->bytes)
#define page_to_phys(page) (1UL << 32)

enum { GFP_KERNEL = 1, __GFP_ZERO = 2, CC_ATTR_GUEST_MEM_ENCRYPT = 3 };

struct page *alloc_pages(int how, unsigned int order);
void free_pages(unsigned long address, unsigned int order);
bool cc_platform_has(int what);
int set_memory_decrypted(unsigned long address, int pages);
int set_memory_encrypted(unsigned long address, int pages);

/* ---- Compiled, and not called ---------------------------------------------------------------- */

static const struct {
	u8 x86_phys_bits;
} boot_cpu_data = { 46 };

#define VM_MAP 0
#define PAGE_KERNEL_RO 0
#define MEMREMAP_WB 0
#define pgprot_decrypted(protection) (protection)
#define pfn_to_page(frame) ((struct page *)((frame) << PAGE_SHIFT))
#define pfn_valid(frame) ((frame) != 0)
#define vmap(pages, count, flags, protection) ((void *)(pages)[0])
#define vunmap(address) ((void)(address))
#define memremap(physical, size, flags) ((void *)(physical))
#define memunmap(address) ((void)(address))
#define virt_to_phys(address) ((u64)(address))
#define page_is_ram(frame) ((frame) != 0)

#endif
