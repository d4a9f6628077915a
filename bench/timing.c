// SPDX-License-Identifier: GPL-2.0-only
/*
 * Times reads. In each round several clocks are read in turns, on one CPU or on several at once.
 * The output is raw; the caller computes medians.
 */
#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "bench.h"

#define MOST_CLOCKS 8
#define MOST_ROUNDS 1000

static DEFINE_MUTEX(lock);
static unsigned int num_clocks, num_rounds, num_cpus;
static struct clocksource *clocks[MOST_CLOCKS];
static u32 reads[MOST_CLOCKS];
static char names[MOST_CLOCKS][32];
static u64 elapsed_ns[MOST_ROUNDS][MOST_CLOCKS];

/* The part of one thread in a round with one clock. */
struct part {
	struct clocksource *clock;
	u32 reads;
	u64 begin_ns;
	u64 end_ns;
	struct completion done;
};

static int part_main(void *data)
{
	struct part *part = data;
	u32 i;

	/* The caches may be cold at the first read. */
	bench_clock_read(part->clock);
	part->begin_ns = ktime_get_raw_ns();
	for (i = 0; i < part->reads; i++)
		bench_clock_read(part->clock);
	part->end_ns = ktime_get_raw_ns();
	complete(&part->done);
	return 0;
}

/* From the start of the first thread to the end of the last one, in ns. */
static int measure(unsigned int which, u64 *ns)
{
	struct part *parts = kcalloc(num_cpus, sizeof(*parts), GFP_KERNEL);
	u64 begin_ns = U64_MAX, end_ns = 0;
	unsigned int cpu, begun = 0, i;
	int error = 0;

	if (!parts)
		return -ENOMEM;
	for_each_online_cpu(cpu) {
		struct part *part = &parts[begun];
		struct task_struct *task;

		if (begun == num_cpus)
			break;
		part->clock = clocks[which];
		part->reads = reads[which];
		init_completion(&part->done);
		task = kthread_create_on_cpu(part_main, part, cpu, "kvmpv_timing/%u");
		if (IS_ERR(task)) {
			error = PTR_ERR(task);
			break;
		}
		wake_up_process(task);
		begun++;
	}
	for (i = 0; i < begun; i++) {
		wait_for_completion(&parts[i].done);
		begin_ns = min(begin_ns, parts[i].begin_ns);
		end_ns = max(end_ns, parts[i].end_ns);
	}
	*ns = end_ns - begin_ns;
	kfree(parts);
	return error ?: begun == num_cpus ? 0 : -EINVAL;
}

static int measure_all(void)
{
	unsigned int round, which;
	int error = 0;

	for (round = 0; round < num_rounds; round++) {
		for (which = 0; which < num_clocks && !error; which++) {
			cpus_read_lock();
			error = measure(which, &elapsed_ns[round][which]);
			cpus_read_unlock();
		}
		if (error || signal_pending(current))
			return error ?: -EINTR;
	}
	return 0;
}

/* Parses a word "CLOCK:READS". */
static int add_clock(char *word)
{
	char *name = strsep(&word, ":");

	if (num_clocks == MOST_CLOCKS || !word || kstrtou32(word, 0, &reads[num_clocks]))
		return -EINVAL;
	clocks[num_clocks] = bench_clock_get(name);
	if (IS_ERR(clocks[num_clocks]))
		return PTR_ERR(clocks[num_clocks]);
	strscpy(names[num_clocks], name, sizeof(names[0]));
	num_clocks++;
	return 0;
}

static int run(char *text)
{
	char *word = strsep(&text, " ");
	unsigned int i;
	int error;

	num_clocks = 0;
	num_rounds = 0;
	if (!text || kstrtouint(word, 0, &num_cpus))
		return -EINVAL;
	word = strsep(&text, " ");
	if (!text || kstrtouint(word, 0, &num_rounds) || num_rounds > MOST_ROUNDS)
		return -EINVAL;
	error = 0;
	while (!error && (word = strsep(&text, " ")))
		error = add_clock(word);
	if (!error)
		error = measure_all();
	for (i = 0; i < num_clocks; i++)
		bench_clock_put(clocks[i]);
	if (error)
		num_rounds = 0;
	return error;
}

/* "CPUS ROUNDS CLOCK:READS ...": has measured when it returns. */
int bench_timing_start(char *text)
{
	int error;

	mutex_lock(&lock);
	error = run(text);
	mutex_unlock(&lock);
	return error;
}

/* A row per round and clock: the reads of all threads, and the time from start to end. */
int bench_timing_show(struct seq_file *seq)
{
	unsigned int round, i;

	mutex_lock(&lock);
	seq_puts(seq, "version 1\nround clock reads elapsed_ns\n");
	for (round = 0; round < num_rounds; round++)
		for (i = 0; i < num_clocks; i++)
			seq_printf(seq, "%u %s %llu %llu\n", round, names[i],
				   (u64)reads[i] * num_cpus, elapsed_ns[round][i]);
	mutex_unlock(&lock);
	return 0;
}
