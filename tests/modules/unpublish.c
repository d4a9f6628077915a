// SPDX-License-Identifier: GPL-2.0-only
/*
 * For a test that must be able to fail: loading it hides the clock records from the kernel's
 * paused-guest check. Only for a guest whose kernel has no kvmclock records of its own.
 */
#include <linux/clocksource.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <asm/pgtable_types.h>
#include <asm/pvclock.h>
#include <asm/kvmclock.h> /* uses the types of pvclock.h without including it */

static int __init unpublish_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		WRITE_ONCE(per_cpu(hv_clock_per_cpu, cpu), NULL);
	return 0;
}

static void __exit unpublish_exit(void)
{
}

module_init(unpublish_init);
module_exit(unpublish_exit);

MODULE_DESCRIPTION("Hides the clock records from the kernel's paused-guest check");
MODULE_LICENSE("GPL");
