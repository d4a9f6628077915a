// SPDX-License-Identifier: GPL-2.0-only
/*
 * An instrument that shares no code with kvmpv. It prints what the kernel's hooks point at, by
 * symbol. Tests load it before, while and after kvmpv is loaded, and compare.
 *
 *	/proc/kvmpv_probe
 *
 * It is not in debugfs, because that may be switched off or locked down.
 */
#include <linux/clocksource.h>
#include <linux/cpu.h>
#include <linux/jump_label.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/smp.h>
#include <linux/static_call.h>
#include <linux/version.h>
#include <asm/apic.h>
#include <asm/pgtable_types.h>
#include <asm/pvclock.h>
#include <asm/kvmclock.h> /* uses the types of pvclock.h without including it */

#include "../../kunit/find_symbol.h"

static void print_static_call(struct seq_file *seq, const char *name)
{
	char symbol[64];
	struct static_call_key *key;

	snprintf(symbol, sizeof(symbol), "__SCK__%s", name);
	key = find_symbol(symbol);
	if (key)
		seq_printf(seq, "static_call %s %ps\n", name, key->func);
}

static void print_static_key(struct seq_file *seq, const char *name)
{
	struct static_key *key = find_symbol(name);

	if (key)
		seq_printf(seq, "static_key %s %d\n", name, static_key_count(key));
}

/* Where the kernel looks for each CPU's clock record; 0 without kvmclock. */
static void print_clock_records(struct seq_file *seq)
{
	int cpu;

	for_each_possible_cpu(cpu)
		seq_printf(seq, "hv_clock_per_cpu %d %lx\n", cpu,
			   (unsigned long)per_cpu(hv_clock_per_cpu, cpu));
}

static void read_here(void *word)
{
	unsigned long *value = word;

	*value = *(unsigned long *)*value;
}

/*
 * Read on the CPU itself. There only this call's own interrupt is in service, and has been ended.
 */
static void print_eoi_words(struct seq_file *seq)
{
	void __percpu *words = (void __percpu *)(uintptr_t)find_symbol("kvm_apic_eoi");
	int cpu;

	if (!words)
		return;
	cpus_read_lock();
	for_each_online_cpu(cpu) {
		unsigned long value = (unsigned long)per_cpu_ptr(words, cpu);

		if (!smp_call_function_single(cpu, read_here, &value, 1))
			seq_printf(seq, "kvm_apic_eoi %d %#lx\n", cpu, value);
	}
	cpus_read_unlock();
}

static int probe_show(struct seq_file *seq, void *unused)
{
	print_static_call(seq, "pv_steal_clock");
	print_static_call(seq, "apic_call_eoi");
	print_static_call(seq, "apic_call_native_eoi");
	print_static_key(seq, "paravirt_steal_enabled");
	print_static_key(seq, "paravirt_steal_rq_enabled");
	print_clock_records(seq);
	print_eoi_words(seq);
#ifndef apic_update_callback
	seq_printf(seq, "apic eoi_write %ps\n", apic->eoi_write);
	seq_printf(seq, "apic native_eoi_write %ps\n", apic->native_eoi_write);
#endif
	return 0;
}

static int __init probe_init(void)
{
	int err = learn_symbols();

	if (err)
		return err;
	return proc_create_single("kvmpv_probe", 0400, NULL, probe_show) ? 0 : -ENOMEM;
}

static void __exit probe_exit(void)
{
	remove_proc_entry("kvmpv_probe", NULL);
}

module_init(probe_init);
module_exit(probe_exit);

MODULE_DESCRIPTION("Prints the kernel's paravirtual hooks by symbol");
MODULE_LICENSE("GPL");
