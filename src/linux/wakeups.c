// SPDX-License-Identifier: GPL-2.0-only
/*
 * What wakes idle CPUs: tracepoints of the kernel. Few of them are exported, so they are found by
 * name in the kernel's own list.
 */
#include <linux/hrtimer.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <trace/events/power.h>

#include "../boundary.h"

static void cpu_idle(void *unused, unsigned int state, unsigned int cpu)
{
	if (state == PWR_EVENT_EXIT)
		kvmpv_idle_ends();
	else
		kvmpv_idle_begins();
}

#ifdef KVMPV_TIMER_TIME_BY_ADDRESS
static void timer_expires(void *unused, struct hrtimer *timer, ktime_t *now)
{
	kvmpv_timer_expires(ktime_to_ns(ktime_sub(*now, hrtimer_get_expires(timer))));
}
#else
static void timer_expires(void *unused, struct hrtimer *timer, ktime_t now)
{
	kvmpv_timer_expires(ktime_to_ns(ktime_sub(now, hrtimer_get_expires(timer))));
}
#endif

static void ipi_arrives(void *unused, int vector)
{
	kvmpv_ipi_arrives();
}

static void ipi_sent(void *unused, const unsigned int cpu, unsigned long callsite, void *callback)
{
	kvmpv_ipi_sent(cpu);
}

/* In the order in which they are registered: the receiving side comes before the sending side. */
static struct event {
	const char *name;
	void *probe;
	bool is_optional;
	struct tracepoint *tracepoint;
} events[] = {
	{ "hrtimer_expire_entry", timer_expires },
	{ "reschedule_entry", ipi_arrives },
	{ "call_function_entry", ipi_arrives },
	{ "call_function_single_entry", ipi_arrives },
	{ "ipi_send_cpu", ipi_sent, .is_optional = true },
	{ "cpu_idle", cpu_idle },
};

static void find(struct tracepoint *tracepoint, void *unused)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(events); i++)
		if (!strcmp(tracepoint->name, events[i].name))
			events[i].tracepoint = tracepoint;
}

static void unregister_first(int count)
{
	while (count--)
		if (events[count].tracepoint)
			tracepoint_probe_unregister(events[count].tracepoint, events[count].probe,
						    NULL);
	tracepoint_synchronize_unregister();
}

static int register_one(const struct event *event)
{
	if (!event->tracepoint)
		return event->is_optional ? 0 : -ENOENT;
	return tracepoint_probe_register(event->tracepoint, event->probe, NULL);
}

int linux_wakeups_enable(void)
{
	int error;
	int i;

	for_each_kernel_tracepoint(find, NULL);
	for (i = 0; i < ARRAY_SIZE(events); i++) {
		error = register_one(&events[i]);
		if (error) {
			unregister_first(i);
			return error;
		}
	}
	return 0;
}

void linux_wakeups_disable(void)
{
	unregister_first(ARRAY_SIZE(events));
}

bool linux_wakeups_see_ipis_sent(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(events); i++)
		if (events[i].is_optional)
			return events[i].tracepoint;
	return false;
}
