/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The border between C++ and the kernel: the only header that both languages read, and the list of
 * every call that crosses.
 *
 *	kvmpv_*	implemented in C++ under src/, called by the kernel side
 *	linux_*	implemented in C under src/linux/, called by C++
 *
 * Fixed-width types, opaque pointers, negative errno. Unless a declaration says otherwise it is
 * called in process context and may sleep.
 */
#ifndef KVMPV_BOUNDARY_H
#define KVMPV_BOUNDARY_H

#ifdef __cplusplus
#include "kvmpv/std.hh"
extern "C" {
#else
#include <linux/types.h>
#endif

#define KVMPV_VERSION "0.1.0"

/* ---- Per-CPU state ---- */

enum { KVMPV_NUM_CLOCK_COUNTERS = 6 };
enum { KVMPV_NUM_EOI_COUNTERS = 3 };

/* The registrations that can be taken: clock, steal time, PV EOI. */
enum { KVMPV_NUM_REGISTRATIONS = 3 };

/*
 * One per CPU, defined by C (src/linux/cpus.c) because only C can place per-CPU data. The hot paths
 * reach it through x86.hh; other CPUs' copies come from linux_cpu().
 */
struct kvmpv_cpu {
	/*
	 * This CPU's struct pvclock_vcpu_time_info. Set on every possible CPU before the first
	 * reader can come, to kvmpv_no_clock_record if to nothing better.
	 */
	const void *clock_record;
	/* Where this is. Set on every possible CPU before the first reader can come. */
	struct kvmpv_cpu *self;
	/* Indexed by ClockCounter. Written by their own CPU only, lost updates by NMI accepted. */
	u64 clock_count[KVMPV_NUM_CLOCK_COUNTERS];
	u64 clock_held_back_max_ns;
	/*
	 * A moment of this CPU's TSC, or 0 for none, what its clock showed then, and how fast it
	 * ran (the record's multiplier and shift): what bounds what it can show later. Written by
	 * its own CPU only, with interrupts off, or while that CPU is not there.
	 */
	u64 clock_base_tsc;
	u64 clock_base_ns;
	u32 clock_base_mul;
	s32 clock_base_shift;
	/* What each slot held when we took it, if that was enabled, else 0. */
	u64 foreign_msr[KVMPV_NUM_REGISTRATIONS];
	/* What the sampler saw last; src/sampler.cc alone knows what it means. */
	u64 sampler[16];
	/* This CPU's steal clock, and where that is; src/steal_clock.hh knows what it means. */
	u64 steal[128];
	void *steal_here;
	/* This CPU's struct KvmPvEoi; set on every possible CPU before the callback is hooked. */
	void *eoi_word;
	/* Indexed by EoiCounter. Written by their own CPU only. */
	u64 eoi_count[KVMPV_NUM_EOI_COUNTERS];
	/* ioapic_interrupts() of this CPU when it began to count. */
	u64 eoi_ioapic_base;
};

#ifdef __cplusplus
/* The symbol whose %gs: offset x86.hh uses. Its plain address is nobody's copy. */
extern struct kvmpv_cpu kvmpv_cpu;

/*
 * The kernel's own per-CPU pointer to the thread that runs there, a struct task_struct. Kbuild says
 * what it is called: current_task, or pcpu_hot, of which it is the first member.
 */
extern const void *KVMPV_CURRENT_TASK;

/*
 * Its address is the distance of nivcsw from the start of that struct, an unsigned long: how often
 * the kernel has switched away from the thread while that was running (src/linux/tasks.c).
 */
extern const u8 kvmpv_task_nivcsw[];
#endif

/* A clock record of zeros: what a CPU without a record points at. */
extern const u8 kvmpv_no_clock_record[32];

/* ---- CPUs (src/linux/cpus.c, hotplug.c) ---- */

/* Between these two no CPU comes or goes. */
void linux_cpus_lock(void);
void linux_cpus_unlock(void);

/* The first online CPU above @cpu (start with -1), or -1. Under linux_cpus_lock(). */
int linux_next_online_cpu(int cpu);

/* The first possible CPU above @cpu (start with -1), or -1. */
int linux_next_possible_cpu(int cpu);

/* @cpu's copy; @cpu must be possible. Any context. */
struct kvmpv_cpu *linux_cpu(u32 cpu);

/* Who follows CPUs that come and go. */
enum kvmpv_follower {
	KVMPV_CLOCK,
	KVMPV_STEAL,
	KVMPV_EOI,
	KVMPV_SAMPLER,
	KVMPV_NUM_FOLLOWERS
};

/*
 * linux_hotplug_enable() calls, for every online CPU now and for every other when it comes,
 *	kvmpv_cpu_prepare()	before the CPU starts, on another one
 *	kvmpv_cpu_online()	on the CPU itself, preemptible but bound to it
 * and when a CPU goes, or for all online ones on linux_hotplug_disable(), the reverse:
 *	kvmpv_cpu_down()	on the CPU itself
 *	kvmpv_cpu_dead()	after it has stopped, on another one
 * @follower: an enum kvmpv_follower. A CPU comes to the followers in the order in which they were
 * enabled, and goes in the reverse one. Returns 0 or a negative errno; on error every CPU that came
 * has gone again.
 */
int linux_hotplug_enable(u32 follower);
void linux_hotplug_disable(u32 follower);
int kvmpv_cpu_prepare(u32 follower, u32 cpu);
int kvmpv_cpu_online(u32 follower, u32 cpu);
void kvmpv_cpu_down(u32 follower, u32 cpu);
void kvmpv_cpu_dead(u32 follower, u32 cpu);

/* Interrupts off on this CPU, and as they were before. */
u64 linux_irqs_off(void);
void linux_irqs_on(u64 state);

/* Calls @function on every online CPU, in interrupt context, and waits for all. */
void linux_on_each_cpu(void (*function)(u32 cpu, void *context), void *context);

/*
 * Calls @function on every online CPU at the same time, with interrupts off; none of them goes on
 * before all have returned from it.
 */
void linux_stop_cpus(void (*function)(u32 cpu, void *context), void *context);

/* Calls @function on @cpu, which must be online, with interrupts off, and waits for that. */
void linux_call_on_cpu(u32 cpu, void (*function)(u32 cpu, void *context), void *context);

/* Makes @cpu, if it is online, leave its idle state once; waits for that. Interrupts on. */
void linux_wake_cpu(u32 cpu);

/* Calls kvmpv_restart() before the machine restarts, kexec included. */
int linux_restart_notify_enable(void);
void linux_restart_notify_disable(void);
void kvmpv_restart(void);

/*
 * Around suspend and hibernation, on the only CPU that is up, with interrupts off. Timekeeping has
 * been suspended later and resumed earlier than these; the clock has callbacks of its own.
 */
void linux_suspend_notify_enable(void);
void linux_suspend_notify_disable(void);
void kvmpv_suspend(u32 cpu);
void kvmpv_resume(u32 cpu);

/* ---- MSRs (src/linux/msr.c) ---- */

/* Reads @msr on @cpu, which must be online. -EIO if the read faults there. */
int linux_rdmsr_on_cpu(u32 cpu, u32 msr, u64 *value);

/* On the CPU that runs this; any context. -EIO if the access faults. */
int linux_rdmsr_here(u32 msr, u64 *value);
int linux_wrmsr_here(u32 msr, u64 value);

/* ---- What the running kernel has registered (src/linux/native_*.c) ---- */

/*
 * The record behind @cpu's exported hv_clock_per_cpu pointer, and its guest-physical address; null
 * and 0 where the kernel has none (nopv, no-kvmclock). Any context.
 */
const void *linux_native_clock_record(u32 cpu, u64 *physical);

/*
 * Makes @cpu's hv_clock_per_cpu pointer name @page, or nothing, so that the kernel's own
 * paused-guest check looks there. Never in the place of a record of the kernel's own.
 */
void linux_native_clock_publish(u32 cpu, const void *page);

/* native kvm-clock's rating, or -ENOENT if its struct clocksource cannot be found. */
int linux_native_clock_rating(void);

/* X86_FEATURE_CONSTANT_TSC and X86_FEATURE_NONSTOP_TSC: where native chooses the lower rating. */
bool linux_tsc_is_invariant(void);

/* The kernel has given up on the TSC as a clock, for good. */
bool linux_tsc_is_unstable(void);

/*
 * 1 if the steal clock in force is the kernel's own for KVM, 0 if it is the one that knows of no
 * steal, -ENOENT if it is somebody else's or cannot be found.
 */
int linux_native_steal_in_force(void);

/*
 * The kernel's own struct kvm_steal_time of @cpu, whether or not it is registered, and its
 * guest-physical address; null and 0 if it cannot be found. Any context.
 */
void *linux_native_steal_record(u32 cpu, u64 *physical);

/* The steal time that the kernel has accounted on @cpu, as in /proc/stat, in ns. Any context. */
u64 linux_accounted_steal_ns(u32 cpu);

/* The scheduler's tick, in ns. */
u64 linux_tick_ns(void);

/*
 * 1 if the EOI callback in force is the kernel's own for KVM, 0 if it is the one that only writes
 * the register, -ENOENT if it is somebody else's or cannot be found.
 */
int linux_native_eoi_in_force(void);

/* Finds the kernel symbols that are not exported; what is missing is said by the calls above. */
void linux_symbols_resolve(void);

/* ---- Functions that the kernel chooses at run time (src/linux/static_hook.c) ---- */

/* Static calls that can be read and set. */
enum kvmpv_static_call {
	KVMPV_CALL_PV_STEAL_CLOCK,
	KVMPV_CALL_APIC_EOI, /* since 6.5 */
	KVMPV_NUM_STATIC_CALLS
};

/* What @which calls now, or null if its symbols were not found. Any context. */
const void *linux_static_call_target(u32 which);

/* From now on @which calls @target, on all CPUs. Only where a target could be read. */
void linux_static_call_set(u32 which, const void *target);

/*
 * Returns when every call that was under way has returned, of functions that are called with
 * interrupts off.
 */
void linux_wait_for_callers(void);

/* The name of the function at @address, and of its module; cut off at @size, with the NUL. */
void linux_symbol_name(const void *address, char *text, u32 size);

/*
 * paravirt_steal_enabled, counted: while it is above 0 the scheduler's accounting asks
 * pv_steal_clock. And paravirt_steal_rq_enabled, if it can be found: so do its run queues, where
 * the kernel has CONFIG_PARAVIRT_TIME_ACCOUNTING, for the time that tasks have not run. Stop only
 * what was started. 0, or -ENOENT and no change if the first cannot be found.
 */
int linux_steal_accounting_start(void);
void linux_steal_accounting_stop(void);

/* Whether the first, or the second of these (@run_queues) is above 0; false if it is unknown. */
bool linux_steal_accounting_is_on(bool run_queues);

/* ---- The end of an interrupt (src/linux/native_apic.c, native_eoi.c, irq_lines.c) ---- */

/*
 * The callback that the kernel ends every interrupt with, called with interrupts off. notrace. Its
 * arguments are those of struct apic's eoi_write before 6.5, and nothing since.
 */
void kvmpv_eoi(u32 reg, u32 value);

/* The callback in force, and another in its place. 0, or a negative errno and no change. */
const void *linux_eoi_callback(void);
int linux_eoi_callback_set(const void *callback);

/*
 * Finds the callback that writes the EOI register and nothing else, for linux_eoi_write(). Before
 * kvmpv_eoi() is hooked. -ENOENT if it is unknown.
 */
int linux_eoi_write_prepare(void);

/* The callback in force is that one. */
bool linux_eoi_callback_is_plain(void);

/* Writes the EOI register. notrace; interrupts off. */
void linux_eoi_write(void);

/* This CPU is in its idle task, or in an interrupt of it. notrace; interrupts off. */
bool linux_in_idle(void);

/* @cpu's word of the kernel's own PV EOI, or null if it cannot be found. */
void *linux_native_eoi_word(u32 cpu, u64 *physical);

/* Before the next one, once; without it the counts are 0. */
void linux_ioapic_lines_prepare(void);

/*
 * What IOAPIC line @line raised on @cpu since boot, 0 if there is no such line or the kernel cannot
 * be asked; and whether it is level-triggered.
 */
u64 linux_ioapic_line_interrupts(u32 line, u32 cpu, bool *is_level);

/* ---- Steal time (src/steal_clock.cc) ---- */

/*
 * The target of the static call pv_steal_clock: nanoseconds that @cpu could have run and did not,
 * never less than before. Interrupts off; of any CPU, from any, from several at once.
 */
u64 kvmpv_steal_clock(int cpu);

/* ---- Tasks (src/linux/tasks.c, sched_switch.c, cgroups.c) ---- */

struct kvmpv_task {
	u32 pid;
	u32 tgid;
	u64 start_ns; /* tells it from another of the same pid */
	u64 cgroup; /* the number of its cgroup v2 */
	char comm[16];
};

/* The one that this CPU runs; pid 0 is the idle task. Any context. */
void linux_current_task(struct kvmpv_task *task);

/*
 * From now on kvmpv_task_switch() is called on a CPU when it goes from one task to another, while
 * the first is still the current one, with interrupts off and the run queue locked. When disable
 * returns, no call is under way or to come. 0 or a negative errno.
 */
int linux_task_switches_enable(void);
void linux_task_switches_disable(void);
void kvmpv_task_switch(void);

/* The path of the cgroup v2 with that number; -ENOENT if it is gone, or another negative errno. */
int linux_cgroup_path(u64 id, char *text, u32 size);

/* ---- Trace events (src/linux/trace.c); nothing happens while nobody listens. Any context. ---- */

/* kvmpv:steal: @cpu, the one that this runs on, has lost @delta_ns; @total_ns in all. */
void linux_trace_steal(u32 cpu, u64 delta_ns, u64 total_ns);

/* kvmpv:steal_step: its record went back by @step_ns, or grew by so much more than time. */
void linux_trace_steal_step(u32 cpu, bool forward, u64 step_ns, u64 total_ns);

/* ---- Memory of our own (src/linux/memory.c) ---- */

/* Zeroed; null if there is none. */
void *linux_memory_create(u64 size);
/* Null is allowed. */
void linux_memory_destroy(void *memory);

/* ---- The clocksource (src/linux/clocksource.c) ---- */

/*
 * The name of the clocksource that the kernel keeps time by, cut off to @size - 1 characters.
 * -ENOENT if the kernel's symbol was not found.
 */
int linux_clocksource_current_name(char *name, u32 size);

struct clocksource;

/* The callbacks of struct clocksource, called directly by the kernel. notrace, any context. */
u64 kvmpv_clock_read_stable_lfence(struct clocksource *cs);
u64 kvmpv_clock_read_stable_rdtscp(struct clocksource *cs);
u64 kvmpv_clock_read_guarded_lfence(struct clocksource *cs);
u64 kvmpv_clock_read_guarded_rdtscp(struct clocksource *cs);

typedef u64 (*kvmpv_clock_read_fn)(struct clocksource *cs);

/* The CPUs have RDTSCP. */
bool linux_has_rdtscp(void);

/* How "kvmpv" is read. */
struct linux_clock_path {
	kvmpv_clock_read_fn read;
	/*
	 * User space may read CPU 0's record by itself; only after linux_vdso_page() names it and
	 * linux_vdso_allow_mapping() was 0.
	 */
	bool vdso;
	/*
	 * The callback returns what kvm-clock's would. A driver that knows the counter of kvm-clock
	 * at some moment, as ptp_kvm does, is then believed. Needs linux_clocksource_has_ids().
	 */
	bool is_kvm_clock;
};

/* The kernel tells clocksources by a number that they carry, not by their address. */
bool linux_clocksource_has_ids(void);

/* Registers "kvmpv", in nanoseconds. Once until unregistered. */
int linux_clocksource_register(const struct linux_clock_path *path, int rating);

/* Registered, and not unbound since by a write to unbind_clocksource. Any context. */
bool linux_clocksource_is_registered(void);

/*
 * Changes the rating and lets the kernel choose again; done when it returns. Only while registered:
 * the kernel would take an unbound clocksource up again.
 */
void linux_clocksource_set_rating(int rating);

/*
 * 1 if "kvmpv" is what was written to current_clocksource last, which overrides ratings; 0 if not;
 * -ENOENT if unknown.
 */
int linux_clocksource_is_named(void);

/*
 * The callback holds from the next read on, in any context, because timekeeping loads it for each;
 * user space follows at the next tick.
 */
void linux_clocksource_set_path(const struct linux_clock_path *path);

/* The kernel reads its time from "kvmpv" now. Any context. */
bool linux_clocksource_is_current(void);

/*
 * The kernel checks other clocksources against "kvmpv": 1 if it does or would, 0 if not, -ENOENT if
 * unknown. @judges: there are such others at present.
 */
int linux_clocksource_is_watchdog(bool *judges);

/*
 * The kernel checks other clocksources against "kvmpv" and has no other that it would accept for
 * that, so that unregistering is refused: 1, 0, or -ENOENT if unknown.
 */
int linux_clocksource_is_indispensable(void);

/*
 * Around suspend and hibernation, whether or not the clocksource is current: on @cpu, with
 * interrupts off; resume before timekeeping reads again. @cpu is the only one up, but for suspend
 * to idle: there the others are idle with interrupts off, and resume may come on another CPU.
 */
void kvmpv_clock_suspend(u32 cpu);
void kvmpv_clock_resume(u32 cpu);

/* 0, or -EBUSY while the kernel cannot do without it. */
int linux_clocksource_unregister(void);

/*
 * After unregistering: returns when no call of the callback is under way, preempted ones included.
 * Tenths of a second, and longer where a task stays in the kernel without sleeping.
 */
void linux_clocksource_wait_for_readers(void);

/* ---- The sampler and its events (src/linux/sampler.c) ---- */

/*
 * Calls kvmpv_sample() on @cpu, now and then once a second, in a thread bound to it, busy or idle.
 * Both on @cpu; stop waits for a call under way.
 */
void linux_sampler_start(u32 cpu);
void linux_sampler_stop(u32 cpu);
void kvmpv_sample(u32 cpu);

/* Calls kvmpv_sampler_deferred() soon, where it may wait for CPUs that come and go. */
void linux_sampler_defer(void);
void kvmpv_sampler_deferred(void);

/* No call is left to come. Only when no sampler is started any more. */
void linux_sampler_finish(void);

/* One lock for all events, with interrupts off. Any context but NMI. */
u64 linux_events_lock(void);
void linux_events_unlock(u64 state);

/* CLOCK_MONOTONIC; stands still in suspend. Any context. */
u64 linux_monotonic_ns(void);

/* ---- The vDSO (src/linux/vdso.c) ---- */

/* CPU 0's record as the kernel would map it into processes, or null. */
const void *linux_vdso_page(void);

/*
 * Makes it @page, which must stay for ever: processes that mapped it keep it. -ENOENT if the
 * kernel's pointer cannot be found.
 */
int linux_vdso_publish_page(const void *page);

/* From now on the kernel maps that page when a process asks. Cannot be taken back. 0 or -ENOENT. */
int linux_vdso_allow_mapping(void);

/* ---- The wall clock (src/linux/wall_clock.c) ---- */

/* Where the kernel has the host answer its own questions, or 0 if that is not known. */
u64 linux_native_wall_clock_physical(void);

/* CLOCK_REALTIME. */
u64 linux_realtime_ns(void);

/* ---- Other clocks (src/linux/hpet.c, acpi_pm.c, rtc.c, native_clock.c) ---- */

/* Maps the HPET. Its period in femtoseconds; -ENODEV if there is none or it stands still. */
int linux_hpet_create(u64 *period_fs);
void linux_hpet_destroy(void);
/* The lower half of the main counter. After create, any context. */
u32 linux_hpet_read(void);

/* 0, or -ENODEV. After it the counter may be read in any context; its bits above 24 may be 0. */
int linux_acpi_pm_create(void);
u32 linux_acpi_pm_read(void);

/* Seconds since 1970 by rtc0, or a negative errno. */
int linux_rtc_read(u64 *seconds);

/* What the kernel has found to be the TSC's rate, or 0. */
u32 linux_tsc_khz(void);

/* CLOCK_MONOTONIC_RAW. Any context. */
u64 linux_monotonic_raw_ns(void);

/* ---- Shared areas (src/linux/pages.c) ---- */

struct linux_mapping {
	const void *address;
	void *base;
	bool is_vmap;
};

/*
 * Maps @size bytes of guest memory at @physical read-only, decrypted where guest memory is
 * encrypted. 0, -EINVAL for an address the CPU cannot have, -ENOMEM.
 */
int linux_map_shared(u64 physical, u32 size, struct linux_mapping *mapping);
void linux_unmap_shared(struct linux_mapping *mapping);

/*
 * Zeroed memory that the host can read and write, contiguous and page-aligned; decrypted where
 * guest memory is encrypted. 0, or -ENOMEM or what decryption returned, and then no address.
 */
struct linux_area {
	void *address;
	u64 physical;
	u32 order;
};

int linux_area_create(u32 size, struct linux_area *area);
/* The page at @address, created as above by an earlier load of this module. */
void linux_area_adopt(const void *address, struct linux_area *area);
/* @address is that of a variable of the kernel's, not of memory that was created as above. */
bool linux_is_in_kernel_image(const void *address);
/* No slot may hold an address inside any more. What cannot be encrypted again is not freed. */
void linux_area_destroy(struct linux_area *area);

/* @physical lies in memory that the kernel hands out to others. */
bool linux_is_kernel_ram(u64 physical);

/* ---- debugfs (src/linux/debugfs.c) ---- */

/* One file below /sys/kernel/debug/kvmpv/. */
struct kvmpv_file {
	const char *directory; /* "" or one level, e.g. "clock" */
	const char *name;
	/* Writes the whole text with linux_seq_write(); called again if the buffer was short. */
	void (*show)(void *seq);
	/*
	 * @text is what was written, NUL-terminated, without the final newline; 0 or negative
	 * errno. Null: the file cannot be written. Never called twice at once.
	 */
	int (*store)(const char *text);
};

/*
 * The directory. -EPERM or -ENOENT where debugfs is switched off at boot, -ENODEV in a kernel
 * without it. Removing it is allowed after an error, too.
 */
int linux_debugfs_create(void);
void linux_debugfs_remove(void);

/* Between these two: @file, which stays where it is. */
void linux_debugfs_add(const struct kvmpv_file *file);
void linux_seq_write(void *seq, const char *text, u32 length);

/* ---- The kernel log (src/linux/log.c) ---- */

void linux_log_info(const char *line);
void linux_log_warn(const char *line);
void linux_log_err(const char *line);

void linux_msleep(u32 ms);

/* ---- Mutexes (src/linux/mutexes.c) ---- */

/*
 * Each is of one owner, who lets one at a time ask the host or a device something, or change what
 * is not changed in an instant. Taken before linux_cpus_lock().
 */
enum kvmpv_mutex {
	KVMPV_MUTEX_CLOCK, /* its switches */
	KVMPV_MUTEX_OTHER_CLOCKS, /* two who read the same devices would time each other */
	KVMPV_MUTEX_WALL_CLOCK, /* its MSR is one for all CPUs */
	KVMPV_MUTEX_STEAL, /* its switches, reset, and who gathers its charges */
	KVMPV_MUTEX_EOI, /* its switch */
	KVMPV_NUM_MUTEXES
};

void linux_mutex_lock(u32 which);
void linux_mutex_unlock(u32 which);

/* ---- The module (src/linux/module_entry.c; keep: src/linux/clocksource.c) ---- */

/* rmmod answers EBUSY until linux_module_let_go(). False if the module is going already. */
bool linux_module_keep(void);
void linux_module_let_go(void);

/* What can be switched while the module runs; a parameter for each. */
enum kvmpv_switch {
	KVMPV_CLOCK_RELEASE,
	KVMPV_CLOCK_FORCE_UNSTABLE,
	KVMPV_STEAL_HOOK,
	KVMPV_STEAL_ATTRIBUTION,
	KVMPV_EOI_HOOK,
	KVMPV_NUM_SWITCHES
};

struct kvmpv_parameters {
	int clock; /* 0: no clocksource */
	int clock_rating; /* 0: automatic; else 1 to 499 */
	int vdso; /* -1: in shared mode only; 0: never; 1: in owned mode too */
	int legacy; /* 1: use the deprecated clock MSRs where they are offered */
	int switches[KVMPV_NUM_SWITCHES]; /* 0 or 1: what they are at the start */
};

/* 0, or a negative errno after which nothing is left changed. */
int kvmpv_start(const struct kvmpv_parameters *parameters);
void kvmpv_stop(void);

/*
 * Between these two. Sets @which, an enum kvmpv_switch; anything but 0 and 1 is -EINVAL. 0 or a
 * negative errno.
 */
int kvmpv_switch_set(u32 which, int value);
bool kvmpv_switch_is_on(u32 which);

#ifdef __cplusplus
}
#endif
#endif
