/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kvmpv_bench.ko reads the kernel's clocksources through their own callbacks, and asks the steal
 * clocks as the scheduler does. It treats kvmpv's like any other: it shares no code with kvmpv and
 * knows only its name.
 */
#ifndef KVMPV_BENCH_H
#define KVMPV_BENCH_H

#include <linux/clocksource.h>
#include <linux/compiler.h>
#include <linux/types.h>

struct dentry;
struct seq_file;

/* ---- Clocks (clocks.c) ---- */

int bench_clocks_init(void);

/* A kernel symbol that is not exported, or null if there is none. After bench_clocks_init(). */
void *bench_symbol(const char *name);

/*
 * The registered clocksource of that name, or one of ours. Its module cannot be unloaded until
 * bench_clock_put(). -ENODEV if there is none.
 */
struct clocksource *bench_clock_get(const char *name);
void bench_clock_put(struct clocksource *clock);

/*
 * Loads the callback for each read, as timekeeping does, because it may change between two reads.
 */
static __always_inline u64 bench_clock_read(struct clocksource *clock)
{
	u64 (*read)(struct clocksource *clock) = READ_ONCE(clock->read);

	return read(clock);
}

/* ---- Calls that can be stepped through ---- */

struct bench_call {
	const void *entry; /* counting starts at this instruction, and includes what is called */
	void (*make)(const struct bench_call *call); /* with interrupts off */
	struct clocksource *held; /* keeps what is called from being unloaded */
};

/*
 * kvm_steal_clock, kvmpv_steal_clock or sched_switch (steal.c). -ENODEV for any other name, -ENOENT
 * if this kernel does not have it at present. Afterwards bench_clock_put() call->held.
 */
int bench_steal_call_get(const char *name, struct bench_call *call);

/*
 * "eoi" (eoi_callback.c): the callback by which the kernel ends interrupts now, for an interrupt
 * that is ended without an exit. -ENODEV for any other name, or without kvmpv. Afterwards
 * bench_clock_put() call->held.
 */
int bench_eoi_call_get(const char *name, struct bench_call *call);

/* ---- The measurements (module.c makes a file for each) ---- */

int bench_warp_start(char *text);
int bench_warp_show(struct seq_file *seq);
int bench_warp_show_end(struct seq_file *seq);
void bench_warp_exit(void);

int bench_timing_start(char *text);
int bench_timing_show(struct seq_file *seq);

int bench_steps_start(char *text);
int bench_steps_show(struct seq_file *seq);
int bench_steps_init(void);
void bench_steps_exit(void);

int bench_steal_start(char *text);
int bench_steal_show(struct seq_file *seq);

#endif
