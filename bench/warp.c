// SPDX-License-Identifier: GPL-2.0-only
/*
 * The warp test: a thread on each CPU reads a clock as fast as it can. No read may be below the
 * previous read of the same thread, or below the largest time that any thread had before this read
 * began.
 *
 * The threads may be preempted and moved at any point. If a thread's CPU goes offline, the thread
 * continues on another one. These reads are checked, too, but do not count towards the goal.
 */
#include <linux/atomic.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "bench.h"

/* Reads between two checks of where the thread runs and whether it has to stop. */
#define BATCH 1000

struct reader {
	struct task_struct *task;
	unsigned int cpu;
	u64 before;
	/* Written by the thread only, but read at any time. */
	u64 reads;
	u64 away;
	u64 handovers;
	u64 own_steps;
	u64 across_steps;
	u64 max_step;
} ____cacheline_aligned;

static DEFINE_MUTEX(lock);
static struct reader *readers;
static unsigned int num_readers;
static struct clocksource *clock;
static u64 goal;
static atomic_t running;
static bool stopping;
static DECLARE_WAIT_QUEUE_HEAD(all_done);

/* The largest time that any thread has read. */
static atomic64_t latest ____cacheline_aligned;

static void raise_latest(u64 now)
{
	s64 seen = atomic64_read(&latest);

	while ((u64)seen < now && !atomic64_try_cmpxchg(&latest, &seen, now))
		;
}

static noinline void note_step(struct reader *reader, u64 *steps, u64 size)
{
	WRITE_ONCE(*steps, *steps + 1);
	if (size > reader->max_step)
		WRITE_ONCE(reader->max_step, size);
}

/*
 * Loads the largest time before it reads the clock; the callbacks do not read the TSC before
 * earlier loads. A handover is a read right after another thread's. Only such a read can be found
 * below it.
 */
static void read_once(struct reader *reader)
{
	u64 seen = atomic64_read(&latest);
	u64 now = bench_clock_read(clock);

	if (now < reader->before)
		note_step(reader, &reader->own_steps, reader->before - now);
	else if (now < seen)
		note_step(reader, &reader->across_steps, seen - now);
	if (seen != reader->before)
		WRITE_ONCE(reader->handovers, reader->handovers + 1);
	reader->before = now;
	raise_latest(now);
}

static void go_home(struct reader *reader)
{
	/* The CPU may be offline again by then. The next batch checks that. */
	if (raw_smp_processor_id() != reader->cpu && cpu_active(reader->cpu))
		set_cpus_allowed_ptr(current, cpumask_of(reader->cpu));
}

static bool goal_reached(struct reader *reader)
{
	u64 reads = READ_ONCE(goal);

	return READ_ONCE(stopping) || (reads && reader->reads >= reads);
}

static int reader_main(void *data)
{
	struct reader *reader = data;

	while (!goal_reached(reader) && !kthread_should_stop()) {
		bool home;
		int i;

		go_home(reader);
		home = raw_smp_processor_id() == reader->cpu;
		for (i = 0; i < BATCH; i++)
			read_once(reader);
		home &= raw_smp_processor_id() == reader->cpu;
		if (home)
			WRITE_ONCE(reader->reads, reader->reads + BATCH);
		else
			WRITE_ONCE(reader->away, reader->away + BATCH);
		/*
		 * A host with fewer CPUs than the guest runs the vCPUs in turns. An idle one lets
		 * the next one run.
		 */
		usleep_range(20, 100);
	}
	if (atomic_dec_and_test(&running))
		wake_up_all(&all_done);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (kthread_should_stop())
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

static void end_readers(void)
{
	unsigned int i;

	for (i = 0; i < num_readers; i++) {
		if (!readers[i].task)
			continue;
		kthread_stop(readers[i].task);
		readers[i].task = NULL;
	}
	if (clock)
		bench_clock_put(clock);
	clock = NULL;
}

static int create_readers(void)
{
	unsigned int cpu, i;

	for (i = 0; i < num_readers; i++) {
		cpu = readers[i].cpu;
		readers[i].task = kthread_create(reader_main, &readers[i], "kvmpv_warp/%u", cpu);
		if (IS_ERR(readers[i].task)) {
			int error = PTR_ERR(readers[i].task);

			readers[i].task = NULL;
			return error;
		}
		set_cpus_allowed_ptr(readers[i].task, cpumask_of(cpu));
	}
	return 0;
}

static int start(const char *name, u64 reads)
{
	struct clocksource *found = bench_clock_get(name);
	unsigned int cpu, i = 0;
	int error;

	if (IS_ERR(found))
		return PTR_ERR(found);
	end_readers();
	clock = found;
	kfree(readers);
	num_readers = 0;
	readers = kcalloc(nr_cpu_ids, sizeof(*readers), GFP_KERNEL);
	if (!readers || clock->mask != CLOCKSOURCE_MASK(64)) {
		end_readers();
		return readers ? -EINVAL : -ENOMEM;
	}
	cpus_read_lock();
	for_each_online_cpu(cpu)
		readers[i++].cpu = cpu;
	cpus_read_unlock();
	num_readers = i;
	error = create_readers();
	if (error) {
		end_readers();
		return error;
	}
	goal = reads;
	WRITE_ONCE(stopping, false);
	atomic64_set(&latest, 0);
	atomic_set(&running, num_readers);
	for (i = 0; i < num_readers; i++)
		wake_up_process(readers[i].task);
	return 0;
}

/*
 * "CLOCK READS": starts. The goal is that many reads per thread, a multiple of 1000; 0 means no
 * goal. "goal READS": changes the goal of the running threads. "stop": stops them now.
 */
int bench_warp_start(char *text)
{
	char *name = strsep(&text, " ");
	u64 reads;
	int error;

	if (!text && !strcmp(name, "stop")) {
		WRITE_ONCE(stopping, true);
		return 0;
	}
	if (text && !strcmp(name, "goal")) {
		error = kstrtou64(text, 0, &reads);
		if (!error)
			WRITE_ONCE(goal, reads);
		return error;
	}
	if (!text || kstrtou64(text, 0, &reads) || reads % BATCH)
		return -EINVAL;
	mutex_lock(&lock);
	error = atomic_read(&running) ? -EBUSY : start(name, reads);
	mutex_unlock(&lock);
	return error;
}

int bench_warp_show(struct seq_file *seq)
{
	unsigned int i;

	mutex_lock(&lock);
	seq_printf(seq, "version 1\nrunning %d\n", atomic_read(&running));
	seq_puts(seq, "cpu reads away handovers own_steps across_steps max_step\n");
	for (i = 0; i < num_readers; i++) {
		const struct reader *reader = &readers[i];

		seq_printf(seq, "%u %llu %llu %llu %llu %llu %llu\n", reader->cpu,
			   READ_ONCE(reader->reads), READ_ONCE(reader->away),
			   READ_ONCE(reader->handovers), READ_ONCE(reader->own_steps),
			   READ_ONCE(reader->across_steps), READ_ONCE(reader->max_step));
	}
	mutex_unlock(&lock);
	return 0;
}

/* The same, but waits until all threads have reached the goal. */
int bench_warp_show_end(struct seq_file *seq)
{
	int error = wait_event_interruptible(all_done, !atomic_read(&running));

	return error ?: bench_warp_show(seq);
}

void bench_warp_exit(void)
{
	WRITE_ONCE(stopping, true);
	end_readers();
	kfree(readers);
}
