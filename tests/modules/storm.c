// SPDX-License-Identifier: GPL-2.0-only
/*
 * An instrument that shares no code with kvmpv. It raises a known number of interrupts, and shows
 * what the local APICs have in service afterwards.
 *
 * Below /sys/kernel/debug/kvmpv_storm:
 *	self		write N: each CPU interrupts itself N times, each time after the previous
 *			interrupt was handled; returns when all are done
 *	remote		write N: the same, but each CPU interrupts the next one
 *	timer		write N: the same, but each CPU sets its timer
 *	busy		write 1: each CPU keeps interrupting itself, with pauses; 0: stops that
 *	result		how many were sent, handled and lost since loading
 *	in_service	the vectors that each CPU's local APIC has in service
 */
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/debugfs.h>
#include <linux/hrtimer.h>
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include <linux/smp.h>
#include <linux/version.h>
#include <asm/apic.h>

/* A vCPU may have to wait for a host CPU, but not as long as this. */
#define PATIENCE (30 * HZ)

/* Far enough ahead that the timer is set before it expires. */
#define TIMER_DELAY_NS 100000

/* In an endless storm, how many interrupts come between two pauses of a tick. */
#define BURST 5

struct sender {
	struct irq_work self;
	struct hrtimer timer;
	call_single_data_t remote;
	unsigned int remote_cpu;
	struct completion remote_handled;
	struct completion finished;
	struct task_struct *task;
	bool (*send)(struct sender *it);
	u64 wanted;
	u64 sent;
	u64 handled;
	u64 lost;
};

static DEFINE_PER_CPU(struct sender, senders);
static DEFINE_MUTEX(lock);
static bool is_busy;
static struct dentry *root;

static void count_self(struct irq_work *work)
{
	struct sender *it = container_of(work, struct sender, self);

	WRITE_ONCE(it->handled, it->handled + 1);
}

static void count_remote(void *sender)
{
	struct sender *it = sender;

	WRITE_ONCE(it->handled, it->handled + 1);
	complete(&it->remote_handled);
}

static enum hrtimer_restart count_timer(struct hrtimer *timer)
{
	struct sender *it = container_of(timer, struct sender, timer);

	WRITE_ONCE(it->handled, it->handled + 1);
	return HRTIMER_NORESTART;
}

static bool wait_until_handled(struct sender *it, u64 expected)
{
	unsigned long end = jiffies + PATIENCE;

	while (READ_ONCE(it->handled) != expected) {
		if (time_after(jiffies, end))
			return false;
		cpu_relax();
	}
	return true;
}

static bool send_to_self(struct sender *it)
{
	u64 expected = it->handled + 1;

	return irq_work_queue(&it->self) && wait_until_handled(it, expected);
}

static bool send_by_timer(struct sender *it)
{
	u64 expected = it->handled + 1;

	hrtimer_start(&it->timer, ns_to_ktime(TIMER_DELAY_NS), HRTIMER_MODE_REL_PINNED_HARD);
	return wait_until_handled(it, expected);
}

/* Sleeps until it is handled, so that vCPUs that share a host CPU do not spin for each other. */
static bool send_to_other(struct sender *it)
{
	return !smp_call_function_single_async(it->remote_cpu, &it->remote) &&
	       wait_for_completion_timeout(&it->remote_handled, PATIENCE);
}

static int run(void *sender)
{
	struct sender *it = sender;
	u64 left;

	for (left = it->wanted; left && !kthread_should_stop(); left--) {
		it->sent++;
		if (!it->send(it)) {
			it->lost++;
			break;
		}
		/* Lets the test scripts run as well. */
		if (it->wanted == U64_MAX && it->sent % BURST == 0)
			schedule_timeout_uninterruptible(1);
		else
			cond_resched_tasks_rcu_qs(); /* rmmod of kvmpv waits for that */
	}
	complete(&it->finished);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (kthread_should_stop())
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

static void stop_all(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		struct sender *it = per_cpu_ptr(&senders, cpu);

		if (it->task)
			kthread_stop(it->task);
		it->task = NULL;
	}
}

static int start_all(bool (*send)(struct sender *it), u64 wanted)
{
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		struct sender *it = per_cpu_ptr(&senders, cpu);
		unsigned int next = cpumask_next(cpu, cpu_online_mask);

		it->send = send;
		it->wanted = wanted;
		it->remote_cpu = next < nr_cpu_ids ? next : cpumask_first(cpu_online_mask);
		init_completion(&it->remote_handled);
		init_completion(&it->finished);
		it->task = kthread_create_on_cpu(run, it, cpu, "storm/%u");
		if (IS_ERR(it->task)) {
			int error = PTR_ERR(it->task);

			it->task = NULL;
			stop_all();
			return error;
		}
	}
	for_each_online_cpu(cpu)
		wake_up_process(per_cpu_ptr(&senders, cpu)->task);
	return 0;
}

/* Interruptible: a million interrupts take longer than the hung-task timeout. */
static int wait_for(struct sender *it)
{
	return wait_for_completion_interruptible(&it->finished);
}

/* Runs a counted storm. No CPU goes online or offline until it is done. */
static ssize_t run_all(const char __user *text, size_t length, bool (*send)(struct sender *it))
{
	unsigned int cpu;
	u64 wanted;
	int error = kstrtou64_from_user(text, length, 0, &wanted);

	if (error)
		return error;
	mutex_lock(&lock);
	cpus_read_lock();
	error = is_busy ? -EBUSY : start_all(send, wanted);
	if (!error) {
		for_each_online_cpu(cpu)
			error = error ?: wait_for(per_cpu_ptr(&senders, cpu));
		stop_all();
	}
	cpus_read_unlock();
	mutex_unlock(&lock);
	return error ? error : length;
}

static ssize_t self_write(struct file *file, const char __user *text, size_t length, loff_t *at)
{
	return run_all(text, length, send_to_self);
}

static ssize_t remote_write(struct file *file, const char __user *text, size_t length, loff_t *at)
{
	return run_all(text, length, send_to_other);
}

static ssize_t timer_write(struct file *file, const char __user *text, size_t length, loff_t *at)
{
	return run_all(text, length, send_by_timer);
}

static ssize_t busy_write(struct file *file, const char __user *text, size_t length, loff_t *at)
{
	bool wanted;
	int error = kstrtobool_from_user(text, length, &wanted);

	if (error)
		return error;
	mutex_lock(&lock);
	if (wanted && !is_busy) {
		cpus_read_lock();
		error = start_all(send_to_self, U64_MAX);
		cpus_read_unlock();
	} else if (!wanted) {
		stop_all();
	}
	if (!error)
		is_busy = wanted;
	mutex_unlock(&lock);
	return error ? error : length;
}

static const struct file_operations self_fops = { .owner = THIS_MODULE, .write = self_write };
static const struct file_operations remote_fops = { .owner = THIS_MODULE, .write = remote_write };
static const struct file_operations timer_fops = { .owner = THIS_MODULE, .write = timer_write };
static const struct file_operations busy_fops = { .owner = THIS_MODULE, .write = busy_write };

static int result_show(struct seq_file *seq, void *unused)
{
	u64 sent = 0, handled = 0, lost = 0;
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		struct sender *it = per_cpu_ptr(&senders, cpu);

		sent += READ_ONCE(it->sent);
		handled += READ_ONCE(it->handled);
		lost += READ_ONCE(it->lost);
	}
	seq_printf(seq, "sent %llu\nhandled %llu\nlost %llu\n", sent, handled, lost);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(result);

/* APIC_ISR: 256 bits in eight registers, 16 bytes apart. */
static void read_in_service(void *words)
{
	u32 *word = words;
	int i;

	for (i = 0; i < 8; i++)
		word[i] = apic->read(APIC_ISR + i * 0x10);
}

/* The call's own interrupt has been ended before the function runs. */
static int in_service_show(struct seq_file *seq, void *unused)
{
	unsigned int cpu;
	u32 word[8];
	int vector, error = 0;

	cpus_read_lock();
	for_each_online_cpu(cpu) {
		error = smp_call_function_single(cpu, read_in_service, word, 1);
		if (error)
			break;
		seq_printf(seq, "%u", cpu);
		for (vector = 0; vector < 256; vector++)
			if (word[vector / 32] & BIT(vector % 32))
				seq_printf(seq, " %d", vector);
		seq_putc(seq, '\n');
	}
	cpus_read_unlock();
	return error;
}
DEFINE_SHOW_ATTRIBUTE(in_service);

static void prepare_timer(struct hrtimer *timer)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
	hrtimer_setup(timer, count_timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
#else
	hrtimer_init(timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	timer->function = count_timer;
#endif
}

static int __init storm_init(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		struct sender *it = per_cpu_ptr(&senders, cpu);

		init_irq_work(&it->self, count_self);
		prepare_timer(&it->timer);
		it->remote.func = count_remote;
		it->remote.info = it;
	}
	root = debugfs_create_dir("kvmpv_storm", NULL);
	if (IS_ERR(root))
		return PTR_ERR(root);
	debugfs_create_file("self", 0200, root, NULL, &self_fops);
	debugfs_create_file("remote", 0200, root, NULL, &remote_fops);
	debugfs_create_file("timer", 0200, root, NULL, &timer_fops);
	debugfs_create_file("busy", 0200, root, NULL, &busy_fops);
	debugfs_create_file("result", 0400, root, NULL, &result_fops);
	debugfs_create_file("in_service", 0400, root, NULL, &in_service_fops);
	return 0;
}

static void __exit storm_exit(void)
{
	unsigned int cpu;

	debugfs_remove_recursive(root);
	stop_all();
	for_each_possible_cpu(cpu) {
		irq_work_sync(&per_cpu_ptr(&senders, cpu)->self);
		hrtimer_cancel(&per_cpu_ptr(&senders, cpu)->timer);
	}
}

module_init(storm_init);
module_exit(storm_exit);

MODULE_DESCRIPTION("Raises a known number of interrupts and reads what local APICs have in service");
MODULE_LICENSE("GPL");
