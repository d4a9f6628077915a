// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clocksources by name, from the kernel's list. And some that are not registered: two are wrong on
 * purpose, which proves that the warp test can fail, and three are parts of a read.
 */
#include <linux/err.h>
#include <linux/irqflags.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/string.h>
#include <asm/msr.h>

#include "../kunit/find_symbol.h"
#include "bench.h"

static struct list_head *registered;
static struct mutex *registered_lock;

int bench_clocks_init(void)
{
	int error = learn_symbols();

	if (error)
		return error;
	registered = bench_symbol("clocksource_list");
	registered_lock = bench_symbol("clocksource_mutex");
	return registered && registered_lock ? 0 : -ENOENT;
}

void *bench_symbol(const char *name)
{
	return find_symbol(name);
}

/* In ticks: some ms, which is longer than a vCPU waits for its turn on a host with one CPU. */
#define SKEW 0x1000000

/* Every second CPU is behind. */
static u64 skewed_read(struct clocksource *clock)
{
	return rdtsc_ordered() - (raw_smp_processor_id() % 2 ? SKEW : 0);
}

/* Every 1000th read of each CPU is behind. */
static DEFINE_PER_CPU(unsigned int, stutter_reads);

static u64 stutter_read(struct clocksource *clock)
{
	return rdtsc_ordered() - (this_cpu_inc_return(stutter_reads) % 1000 ? 0 : SKEW);
}

/* The cost of a read that does nothing. */
static u64 nothing_read(struct clocksource *clock)
{
	return 0;
}

/*
 * The cost of keeping the thread on its CPU: as kvmpv's careful read does it, and as native does.
 */
static u64 irq_off_read(struct clocksource *clock)
{
	unsigned long flags;

	raw_local_irq_save(flags);
	raw_local_irq_restore(flags);
	return 0;
}

static u64 preempt_off_read(struct clocksource *clock)
{
	preempt_disable_notrace();
	preempt_enable_notrace();
	return 0;
}

/* Never registered. */
static struct clocksource own_clocks[] = {
	{ .name = "skewed", .mask = CLOCKSOURCE_MASK(64), .read = skewed_read },
	{ .name = "stutter", .mask = CLOCKSOURCE_MASK(64), .read = stutter_read },
	{ .name = "nothing", .mask = CLOCKSOURCE_MASK(64), .read = nothing_read },
	{ .name = "irq-off", .mask = CLOCKSOURCE_MASK(64), .read = irq_off_read },
	{ .name = "preempt-off", .mask = CLOCKSOURCE_MASK(64), .read = preempt_off_read },
};

struct clocksource *bench_clock_get(const char *name)
{
	struct clocksource *clock, *found = NULL;
	int i;

	for (i = 0; i < ARRAY_SIZE(own_clocks); i++)
		if (!strcmp(own_clocks[i].name, name))
			return &own_clocks[i];

	mutex_lock(registered_lock);
	list_for_each_entry(clock, registered, list)
		if (!strcmp(clock->name, name) && try_module_get(clock->owner))
			found = clock;
	mutex_unlock(registered_lock);
	return found ?: ERR_PTR(-ENODEV);
}

void bench_clock_put(struct clocksource *clock)
{
	module_put(clock->owner);
}
