// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lists the instructions that one call executes: the CPU traps after each of them (RFLAGS.TF). This
 * counts the code as it runs, with all patches that were made at boot and at load.
 */
#include <linux/kdebug.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <asm/processor-flags.h>
#include <asm/ptrace.h>

#include "bench.h"

#define MAX_STEPS 512

/*
 * A trap may be an exit, at which the host may write the record that is being read, and then the
 * read starts again. The shortest of this many calls is one without that. Some take more steps than
 * there is room for.
 */
#define MAX_ATTEMPTS 200

static DEFINE_MUTEX(lock);

/* Written by the trap handler, with interrupts off, on the only CPU that steps. */
static struct task_struct *stepper;
static unsigned long entry;
static unsigned long entry_sp;
static unsigned long ips[MAX_STEPS];
static unsigned int num_steps;
static unsigned long shortest[MAX_STEPS];
static unsigned int num_shortest;

static enum {
	BEFORE,
	INSIDE,
	DONE,
} state;

static int on_trap(struct notifier_block *block, unsigned long value, void *data)
{
	struct die_args *args = data;
	struct pt_regs *regs = args->regs;

	if (value != DIE_DEBUG || user_mode(regs) || READ_ONCE(stepper) != current)
		return NOTIFY_DONE;
	if (state == BEFORE && regs->ip == entry) {
		entry_sp = regs->sp;
		state = INSIDE;
	} else if (state == INSIDE && regs->sp > entry_sp) {
		state = DONE;
	}
	/* The next instruction. */
	if (state == INSIDE && num_steps < MAX_STEPS)
		ips[num_steps++] = regs->ip;
	return NOTIFY_STOP;
}

NOKPROBE_SYMBOL(on_trap);

static struct notifier_block block = { .notifier_call = on_trap, .priority = INT_MAX };

static __always_inline void set_single_step(bool on)
{
	if (on)
		asm volatile("pushfq; orq %0, (%%rsp); popfq" : : "i"(X86_EFLAGS_TF) : "memory",
			     "cc");
	else
		asm volatile("pushfq; andq %0, (%%rsp); popfq" : : "i"(~X86_EFLAGS_TF) : "memory",
			     "cc");
}

static bool step_once(const struct bench_call *call)
{
	unsigned long flags;

	local_irq_save(flags);
	call->make(call);
	num_steps = 0;
	state = BEFORE;
	entry = (unsigned long)call->entry;
	WRITE_ONCE(stepper, current);
	set_single_step(true);
	call->make(call);
	set_single_step(false);
	WRITE_ONCE(stepper, NULL);
	local_irq_restore(flags);
	return state == DONE && num_steps < MAX_STEPS;
}

static void make_read(const struct bench_call *call)
{
	bench_clock_read(call->held);
}

static int get_call(const char *name, struct bench_call *call)
{
	int error = bench_steal_call_get(name, call);

	if (error == -ENODEV)
		error = bench_eoi_call_get(name, call);
	if (error != -ENODEV)
		return error;
	call->held = bench_clock_get(name);
	if (IS_ERR(call->held))
		return PTR_ERR(call->held);
	call->make = make_read;
	call->entry = READ_ONCE(call->held->read);
	return 0;
}

/*
 * "CLOCK [TIMES]", or the name of another call. Done when it returns, which is after MAX_ATTEMPTS
 * or when the shortest was seen so many times.
 */
int bench_steps_start(char *text)
{
	unsigned int times = MAX_ATTEMPTS, seen = 0, attempt;
	char *name = strsep(&text, " ");
	struct bench_call call;
	int error;

	if (text && (kstrtouint(text, 0, &times) || !times))
		return -EINVAL;
	error = get_call(name, &call);
	if (error)
		return error;
	mutex_lock(&lock);
	num_shortest = 0;
	for (attempt = 0; attempt < MAX_ATTEMPTS && seen < times; attempt++) {
		/* On a busy machine they take longer than the kernel lets a CPU be stuck. */
		cond_resched();
		if (!step_once(&call) || (num_shortest && num_steps > num_shortest))
			continue;
		seen = num_steps == num_shortest ? seen + 1 : 1;
		num_shortest = num_steps;
		memcpy(shortest, ips, sizeof(shortest));
	}
	mutex_unlock(&lock);
	bench_clock_put(call.held);
	return num_shortest ? 0 : -EIO;
}

int bench_steps_show(struct seq_file *seq)
{
	unsigned int i;

	mutex_lock(&lock);
	seq_printf(seq, "version 1\ninstructions %u\n", num_shortest);
	for (i = 0; i < num_shortest; i++)
		seq_printf(seq, "%pS\n", (void *)shortest[i]);
	mutex_unlock(&lock);
	return 0;
}

int bench_steps_init(void)
{
	return register_die_notifier(&block);
}

void bench_steps_exit(void)
{
	unregister_die_notifier(&block);
}
