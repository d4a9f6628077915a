// SPDX-License-Identifier: GPL-2.0-only
/*
 * Another module that replaces the kernel's EOI callback. Its own callback calls the one that it
 * found. Shares no code with kvmpv.
 *
 *	/sys/kernel/debug/kvmpv_eoi_on_top	how many interrupts its callback has ended
 *
 * Unloading puts back the callback that it found, even if somebody else is on top by then.
 */
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include <linux/static_call.h>
#include <linux/vmalloc.h>
#include <asm/apic.h>
#include <asm/pgtable.h>

static DEFINE_PER_CPU(u64, ended);
static struct dentry *file;
static const void *below;

#ifdef apic_update_callback
#include "../../kunit/find_symbol.h"

DEFINE_STATIC_CALL_NULL(on_top_below, *apic->eoi);
static struct static_call_key *key;
static void *trampoline;

static notrace void on_top_eoi(void)
{
	this_cpu_inc(ended);
	static_call(on_top_below)();
}

static const void *found(void)
{
	if (learn_symbols())
		return NULL;
	key = find_symbol("__SCK__apic_call_eoi");
	trampoline = find_symbol("__SCT__apic_call_eoi");
	if (!key || !trampoline)
		return NULL;
	static_call_update(on_top_below, key->func);
	return key->func;
}

static int put(const void *callback)
{
	__static_call_update(key, trampoline, (void *)callback);
	return 0;
}
#else
static notrace void on_top_eoi(u32 reg, u32 value)
{
	this_cpu_inc(ended);
	((void (*)(u32 reg, u32 value))below)(reg, value);
}

static const void *found(void)
{
	return apic->eoi_write;
}

static int put(const void *callback)
{
	struct page *page = pfn_to_page(slow_virt_to_phys(&apic->eoi_write) >> PAGE_SHIFT);
	void *alias = vmap(&page, 1, VM_MAP, PAGE_KERNEL);

	if (!alias)
		return -ENOMEM;
	WRITE_ONCE(*(const void **)(alias + offset_in_page(&apic->eoi_write)), callback);
	vunmap(alias);
	return 0;
}
#endif

static int on_top_show(struct seq_file *seq, void *unused)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu(ended, cpu);
	seq_printf(seq, "ended %llu\n", sum);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(on_top);

static int __init on_top_init(void)
{
	int error;

	below = found();
	if (!below)
		return -ENOENT;
	error = put(on_top_eoi);
	if (error)
		return error;
	file = debugfs_create_file("kvmpv_eoi_on_top", 0400, NULL, NULL, &on_top_fops);
	return 0;
}

static void __exit on_top_exit(void)
{
	debugfs_remove(file);
	/* An exit cannot fail, so it tries again. */
	while (put(below))
		cond_resched();
	synchronize_rcu();
}

module_init(on_top_init);
module_exit(on_top_exit);

MODULE_DESCRIPTION("Sits on top of the local APIC's EOI callback");
MODULE_LICENSE("GPL");
