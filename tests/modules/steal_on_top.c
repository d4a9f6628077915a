// SPDX-License-Identifier: GPL-2.0-only
/*
 * Another module that replaces the kernel's steal clock, as kvmpv does. It calls the function that
 * it found in that place, and its exit waits until nobody sits on top of it. Shares no code with
 * kvmpv.
 *
 *	/sys/kernel/debug/kvmpv_steal_on_top	how often it was called, and whom it calls
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include <linux/static_call.h>

#include "../../kunit/find_symbol.h"

static struct dentry *file;
static struct static_call_key *key;
static void *trampoline;
static u64 (*below)(int cpu);
static atomic64_t calls;

static u64 (*steal_clock)(int cpu);
DEFINE_STATIC_CALL_NULL(clock_below, *steal_clock);

static u64 kvmpv_steal_on_top_clock(int cpu)
{
	atomic64_inc(&calls);
	return static_call(clock_below)(cpu);
}

static int steal_on_top_show(struct seq_file *seq, void *unused)
{
	seq_printf(seq, "calls %lld below %ps\n", atomic64_read(&calls), below);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(steal_on_top);

static int find_call(void)
{
	int err = learn_symbols();

	if (err)
		return err;
	key = find_symbol("__SCK__pv_steal_clock");
	trampoline = find_symbol("__SCT__pv_steal_clock");
	return key && trampoline ? 0 : -ENOENT;
}

static int __init steal_on_top_init(void)
{
	int err = find_call();

	if (err)
		return err;
	file = debugfs_create_file("kvmpv_steal_on_top", 0400, NULL, NULL, &steal_on_top_fops);
	if (IS_ERR(file))
		return PTR_ERR(file);
	below = key->func;
	__static_call_update(&STATIC_CALL_KEY(clock_below), STATIC_CALL_TRAMP_ADDR(clock_below),
			     below);
	__static_call_update(key, trampoline, kvmpv_steal_on_top_clock);
	return 0;
}

static void __exit steal_on_top_exit(void)
{
	while (READ_ONCE(key->func) != kvmpv_steal_on_top_clock)
		msleep(20);
	__static_call_update(key, trampoline, below);
	synchronize_rcu();
	debugfs_remove(file);
}

module_init(steal_on_top_init);
module_exit(steal_on_top_exit);

MODULE_DESCRIPTION("Sits on top of the kernel's steal clock");
MODULE_LICENSE("GPL");
