// SPDX-License-Identifier: GPL-2.0-only
/*
 * An instrument that shares no code with kvmpv. On every CPU it looks at the steal time that the
 * kernel has accounted, at each tick and after idle, right before the kernel adds to it.
 *
 *	/sys/kernel/debug/kvmpv_steal_monitor	per CPU: how many looks, how many of them
 *						found less than before, and the largest step
 *						back in ns
 */
#include <linux/debugfs.h>
#include <linux/kernel_stat.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/seq_file.h>

struct seen {
	u64 last_ns;
	u64 looks;
	u64 went_back;
	u64 most_ns;
};

static DEFINE_PER_CPU(struct seen, seen_here);
static struct dentry *file;

/* Interrupts are off: both functions are called by the tick, or on the way out of idle. */
static int look(struct kprobe *probe, struct pt_regs *regs)
{
	struct seen *seen = this_cpu_ptr(&seen_here);
	u64 now_ns = kcpustat_this_cpu->cpustat[CPUTIME_STEAL];

	if (now_ns < seen->last_ns) {
		seen->went_back++;
		seen->most_ns = max(seen->most_ns, seen->last_ns - now_ns);
	}
	seen->last_ns = now_ns;
	seen->looks++;
	return 0;
}

/*
 * These two functions of kernel/sched/cputime.c ask the steal clock. In 7.3 it is
 * kcpustat_dyntick_stop() that does after idle.
 */
static struct kprobe at_tick = { .symbol_name = "account_process_tick", .pre_handler = look };
static struct kprobe after_idle = { .symbol_name = "account_idle_ticks", .pre_handler = look };
static struct kprobe *probes[] = { &at_tick, &after_idle };

static int steal_monitor_show(struct seq_file *seq, void *unused)
{
	int cpu;

	seq_puts(seq, "cpu looks went_back most_ns\n");
	for_each_possible_cpu(cpu) {
		struct seen *seen = per_cpu_ptr(&seen_here, cpu);

		seq_printf(seq, "%d %llu %llu %llu\n", cpu, READ_ONCE(seen->looks),
			   READ_ONCE(seen->went_back), READ_ONCE(seen->most_ns));
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(steal_monitor);

static int __init register_probes(void)
{
	int err = register_kprobe(&after_idle);

	if (err == -ENOENT) {
		after_idle.symbol_name = "kcpustat_dyntick_stop";
		err = register_kprobe(&after_idle);
	}
	if (err)
		return err;
	err = register_kprobe(&at_tick);
	if (err)
		unregister_kprobe(&after_idle);
	return err;
}

static int __init steal_monitor_init(void)
{
	int err = register_probes();

	if (err)
		return err;
	file = debugfs_create_file("kvmpv_steal_monitor", 0400, NULL, NULL, &steal_monitor_fops);
	if (!IS_ERR(file))
		return 0;
	unregister_kprobes(probes, ARRAY_SIZE(probes));
	return PTR_ERR(file);
}

static void __exit steal_monitor_exit(void)
{
	debugfs_remove(file);
	unregister_kprobes(probes, ARRAY_SIZE(probes));
}

module_init(steal_monitor_init);
module_exit(steal_monitor_exit);

MODULE_DESCRIPTION("Watches that accounted steal time never goes back");
MODULE_LICENSE("GPL");
