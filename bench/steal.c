// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cost of steal time. Times the kernel's own steal clock and the one that the scheduler asks
 * now, in turns. Also offers both, and what is called at every context switch, to be
 * single-stepped.
 */
#include <linux/err.h>
#include <linux/irqflags.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/static_call.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/tracepoint.h>
#include <asm/msr.h>

#include "bench.h"

#define MOST_ROUNDS 1000
/* Interrupts off. */
#define MOST_CALLS 10000

static noinline u64 nothing(int cpu)
{
	return 0;
}

static noinline u64 rdtsc_alone(int cpu)
{
	return rdtsc();
}

static struct steal_clock {
	const char *name;
	u64 (*ask)(int cpu);
} clocks[] = {
	{ "nothing", nothing },
	{ "rdtsc", rdtsc_alone },
	{ "kvm_steal_clock" },
	{ "kvmpv_steal_clock" },
};

#define NATIVE (&clocks[2])
#define OURS (&clocks[3])

static DEFINE_MUTEX(lock);
static unsigned int num_rounds, num_calls;
static u64 elapsed_ns[MOST_ROUNDS][ARRAY_SIZE(clocks)];

/*
 * kvmpv's steal clock is the target of the static call if that is not native's. kvmpv cannot be
 * unloaded before bench_clock_put() of its clocksource, which is returned.
 */
static struct clocksource *find_clocks(void)
{
	const struct static_call_key *key = bench_symbol("__SCK__pv_steal_clock");
	struct clocksource *held = bench_clock_get("kvmpv");

	if (IS_ERR(held))
		return ERR_PTR(-ENOENT);
	NATIVE->ask = bench_symbol("kvm_steal_clock");
	OURS->ask = key ? READ_ONCE(key->func) : NULL;
	if (NATIVE->ask && OURS->ask && OURS->ask != NATIVE->ask &&
	    OURS->ask != bench_symbol("native_steal_clock"))
		return held;
	bench_clock_put(held);
	return ERR_PTR(-ENOENT);
}

/* ---- Time ---- */

static u64 turn(const struct steal_clock *clock)
{
	unsigned long flags;
	unsigned int i;
	u64 begin_ns, end_ns;
	int cpu;

	local_irq_save(flags);
	cpu = smp_processor_id();
	/* The caches may be cold at the first call. */
	clock->ask(cpu);
	begin_ns = ktime_get_raw_ns();
	for (i = 0; i < num_calls; i++)
		clock->ask(cpu);
	end_ns = ktime_get_raw_ns();
	local_irq_restore(flags);
	return end_ns - begin_ns;
}

static int run(char *text)
{
	struct clocksource *held;
	unsigned int round, which, rounds;

	num_rounds = 0;
	if (sscanf(text, "%u %u", &rounds, &num_calls) != 2 || rounds > MOST_ROUNDS ||
	    num_calls > MOST_CALLS)
		return -EINVAL;
	held = find_clocks();
	if (IS_ERR(held))
		return PTR_ERR(held);
	for (round = 0; round < rounds && !signal_pending(current); round++) {
		for (which = 0; which < ARRAY_SIZE(clocks); which++)
			elapsed_ns[round][which] = turn(&clocks[which]);
		cond_resched();
	}
	bench_clock_put(held);
	if (round < rounds)
		return -EINTR;
	num_rounds = rounds;
	return 0;
}

/* "ROUNDS CALLS": has measured when it returns. */
int bench_steal_start(char *text)
{
	int error;

	mutex_lock(&lock);
	error = run(text);
	mutex_unlock(&lock);
	return error;
}

/* A row per round and clock. */
int bench_steal_show(struct seq_file *seq)
{
	unsigned int round, i;

	mutex_lock(&lock);
	seq_puts(seq, "version 1\nround clock calls elapsed_ns\n");
	for (round = 0; round < num_rounds; round++)
		for (i = 0; i < ARRAY_SIZE(clocks); i++)
			seq_printf(seq, "%u %s %u %llu\n", round, clocks[i].name, num_calls,
				   elapsed_ns[round][i]);
	mutex_unlock(&lock);
	return 0;
}

/* ---- Single calls ---- */

static void ask_native(const struct bench_call *call)
{
	NATIVE->ask(smp_processor_id());
}

static void ask_ours(const struct bench_call *call)
{
	OURS->ask(smp_processor_id());
}

static struct tracepoint_func probe;

/* As the scheduler does at a context switch; here both tasks are the same. */
static void tell_switch(const struct bench_call *call)
{
	void (*told)(void *data, bool preempt, struct task_struct *prev, struct task_struct *next,
		     unsigned int prev_state) = probe.func;

	told(probe.data, false, current, current, TASK_RUNNING);
}

static void find_switch(struct tracepoint *tracepoint, void *found)
{
	if (!strcmp(tracepoint->name, "sched_switch"))
		*(struct tracepoint **)found = tracepoint;
}

/* The function that is called at every context switch. */
static int find_probe(void)
{
	const struct tracepoint_func *all;
	struct tracepoint *tracepoint = NULL;
	int error = -ENOENT;

	for_each_kernel_tracepoint(find_switch, &tracepoint);
	if (!tracepoint)
		return error;
	rcu_read_lock();
	all = rcu_dereference(tracepoint->funcs);
	if (all && all[0].func) {
		error = all[1].func ? -EBUSY : 0;
		probe = all[0];
	}
	rcu_read_unlock();
	return error;
}

int bench_steal_call_get(const char *name, struct bench_call *call)
{
	bool ours = !strcmp(name, OURS->name);
	bool native = !strcmp(name, NATIVE->name);
	int error = 0;

	if (!ours && !native && strcmp(name, "sched_switch"))
		return -ENODEV;
	mutex_lock(&lock);
	call->held = find_clocks();
	if (IS_ERR(call->held)) {
		error = PTR_ERR(call->held);
	} else if (ours || native) {
		call->make = ours ? ask_ours : ask_native;
		call->entry = ours ? OURS->ask : NATIVE->ask;
	} else {
		error = find_probe();
		call->make = tell_switch;
		call->entry = probe.func;
		if (error)
			bench_clock_put(call->held);
	}
	mutex_unlock(&lock);
	return error;
}
