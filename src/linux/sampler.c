// SPDX-License-Identifier: GPL-2.0-only
/*
 * Work once a second on every CPU.
 *
 * Not deferrable: a deferrable timer stops with an idle CPU, and then the latency would have no
 * bound.
 */
#include <linux/jiffies.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <linux/workqueue.h>

#include <kvmpv/boundary.h>

#include "compat.h"

static DEFINE_PER_CPU(struct delayed_work, work_of);

static void sample(struct work_struct *work)
{
	u32 cpu = raw_smp_processor_id();

	/* Left behind by a CPU that is going and will be cancelled by it: it runs elsewhere. */
	if (to_delayed_work(work) != per_cpu_ptr(&work_of, cpu))
		return;
	kvmpv_sample(cpu);
	queue_delayed_work_on(cpu, kvmpv_percpu_wq, to_delayed_work(work), HZ);
}

void linux_sampler_start(u32 cpu)
{
	struct delayed_work *work = per_cpu_ptr(&work_of, cpu);

	INIT_DELAYED_WORK(work, sample);
	queue_delayed_work_on(cpu, kvmpv_percpu_wq, work, 0);
}

void linux_sampler_stop(u32 cpu)
{
	struct delayed_work *work = per_cpu_ptr(&work_of, cpu);

	if (work->work.func)
		cancel_delayed_work_sync(work);
}

static void deferred(struct work_struct *unused)
{
	kvmpv_sampler_deferred();
}

/* Not waited for when a CPU goes: it waits for CPUs itself. */
static DECLARE_WORK(deferred_work, deferred);

void linux_sampler_defer(void)
{
	schedule_work(&deferred_work);
}

void linux_sampler_finish(void)
{
	cancel_work_sync(&deferred_work);
}
