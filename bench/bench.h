/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kvmpv_bench.ko: reads the kernel's clocksources through their own callbacks, kvmpv's as any
 * other's. It shares no code with kvmpv and knows nothing of it but the name.
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

#endif
