/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kvmpv_bench.ko: reads the kernel's clocksources through their own callbacks, kvmpv's as any
 * other's, and asks the steal clocks as the scheduler does. It shares no code with kvmpv and knows
 * nothing of it but the name.
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

/* What the kernel does not export; null if there is no such symbol. After bench_clocks_init(). */
void *bench_symbol(const char *name);

/*
 * The registered clocksource of that name, or one of ours. It cannot be unloaded until it
 * is put. -ENODEV if there is none.
 */
struct clocksource *bench_clock_get(const char *name);
void bench_clock_put(struct clocksource *clock);

/* As timekeeping does: the callback may be exchanged between two reads. */
static __always_inline u64 bench_clock_read(struct clocksource *clock)
{
	u64 (*read)(struct clocksource *clock) = READ_ONCE(clock->read);

	return read(clock);
}

/* ---- Calls that can be stepped through ---- */

struct bench_call {
	const void *entry; /* the first instruction that counts; all that it calls counts, too */
	void (*make)(const struct bench_call *call); /* with interrupts off */
	struct clocksource *held; /* keeps what is called from being unloaded */
};

/*
 * kvm_steal_clock, kvmpv_steal_clock or sched_switch (steal.c). -ENODEV for any other name, -ENOENT
 * for what this kernel does not have now. To be put as a clock.
 */
int bench_steal_call_get(const char *name, struct bench_call *call);

/*
 * "eoi" (eoi_callback.c): the callback that ends interrupts now, for one that is ended without an
 * exit. -ENODEV for any other name or without kvmpv. To be put as a clock.
 */
int bench_eoi_call_get(const char *name, struct bench_call *call);

/* ---- What can be asked (module.c makes a file of each) ---- */

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
