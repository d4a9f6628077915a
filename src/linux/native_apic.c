// SPDX-License-Identifier: GPL-2.0-only
/*
 * The local APIC driver's EOI callback, and the word of the kernel's own PV EOI.
 */
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/vmalloc.h>
#include <asm/pgtable.h>

#include <kvmpv/boundary.h>

#include "compat.h"
#include "symbols.h"

#ifdef KVMPV_APIC_STATIC_CALLS

const void *linux_eoi_callback(void)
{
	return linux_static_call_target(KVMPV_CALL_APIC_EOI);
}

/*
 * Only the static call changes. The pointer in struct apic stays as it is: nothing reads it after
 * boot, and it cannot be written.
 */
int linux_eoi_callback_set(const void *callback)
{
	linux_static_call_set(KVMPV_CALL_APIC_EOI, callback);
	return 0;
}

bool linux_eoi_callback_is_plain(void)
{
	return linux_eoi_callback() == apic->native_eoi;
}

#else

const void *linux_eoi_callback(void)
{
	return (const void *)READ_ONCE(apic->eoi_write);
}

/*
 * struct apic is read-only after boot, but every interrupt loads its callback from there. So the
 * pointer is written through a writable mapping of its page, which is removed right after the
 * write.
 */
int linux_eoi_callback_set(const void *callback)
{
	void *place = &apic->eoi_write;
	struct page *page = pfn_to_page(slow_virt_to_phys(place) >> PAGE_SHIFT);
	void *writable = vmap(&page, 1, VM_MAP, PAGE_KERNEL);

	if (!writable)
		return -ENOMEM;
	WRITE_ONCE(*(const void **)(writable + offset_in_page(place)), callback);
	vunmap(writable);
	return 0;
}

/*
 * apic_set_eoi_write(), the only function that replaces the callback at boot, saves the one it
 * found.
 */
bool linux_eoi_callback_is_plain(void)
{
	return !apic->native_eoi_write;
}

#endif

int linux_native_eoi_in_force(void)
{
	const void *callback = linux_eoi_callback();

	if (!callback || !kvmpv_symbols.kvm_guest_apic_eoi_write)
		return -ENOENT;
	if (callback == kvmpv_symbols.kvm_guest_apic_eoi_write)
		return 1;
	/* Somebody else's callback may or may not go on to the kernel's own. */
	return linux_eoi_callback_is_plain() ? 0 : -ENOENT;
}

/*
 * The address of the symbol is what per_cpu_ptr() takes, whether or not per-CPU symbols are offsets
 * from zero.
 */
void *linux_native_eoi_word(u32 cpu, u64 *physical)
{
	void *word;

	*physical = 0;
	if (!kvmpv_symbols.kvm_apic_eoi)
		return NULL;
	word = per_cpu_ptr(kvmpv_symbols.kvm_apic_eoi, cpu);
	*physical = slow_virt_to_phys(word);
	return word;
}
