/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The border between C++ and the kernel: the only header that both languages read. It lists every
 * call that crosses.
 *
 *	kvmpv_*	implemented in C++ under src/, called by the kernel side
 *	linux_*	implemented in C under src/linux/, called by C++
 *
 * Types have a fixed width, pointers are opaque, errors are negative errnos. Unless a declaration
 * says otherwise, it is called in process context and may sleep. "Any context" includes NMI only
 * where that is said.
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

/* ---- Shared data ------------------------------------------------------------------------- */

enum { KVMPV_NUM_CLOCK_COUNTERS = 6 };
enum { KVMPV_NUM_EOI_COUNTERS = 3 };

/* The registrations that can be taken: clock, steal time, PV EOI. */
enum { KVMPV_NUM_REGISTRATIONS = 3 };

/* The values that can be set: poll control. */
enum { KVMPV_NUM_VALUES = 1 };

/* A value slot of one CPU. Only that CPU changes it, or another one while that CPU is offline. */
struct kvmpv_value {
	u64 before; /* what the MSR held before we set it; only while is_held */
	u64 set; /* what we have set it to; only while is_held */
	u64 wanted; /* what it shall be set to whenever the CPU is online; only while is_wanted */
	bool is_held;
	bool is_wanted;
};

/*
 * Whether a CPU's clock record has changed since a look at it; early_look.hh says what the members
 * mean. Only that CPU uses it, with interrupts off, or another one while that CPU is offline.
 */
struct kvmpv_record_watch {
	u64 seen_version;
	u64 used_until_ns;
	bool is_on;
};

/*
 * One per CPU. C defines it (src/linux/cpus.c), because only C can place per-CPU data. The hot
 * paths reach their own CPU's copy through x86.hh; linux_cpu() returns that of any CPU.
 */
struct kvmpv_cpu {
	/*
	 * This CPU's clock record, or kvmpv_no_clock_record. Set on every possible CPU before the
	 * first reader or tick can come, and never null from then on.
	 */
	const void *clock_record;
	/* The address of this copy. Set on every possible CPU before the first reader can come. */
	struct kvmpv_cpu *self;
	/* Indexed by ClockCounter. Only its own CPU writes it, in any context, NMI included. */
	u64 clock_count[KVMPV_NUM_CLOCK_COUNTERS];
	u64 clock_held_back_max_ns;
	/*
	 * These four bound what this CPU's clock can show later: its TSC at some moment (0: none),
	 * what the clock showed then, and the rate at which it ran (the record's multiplier and
	 * shift). Only its own CPU writes them, with interrupts off, or another one while that CPU
	 * is offline.
	 */
	u64 clock_base_tsc;
	u64 clock_base_ns;
	u32 clock_base_mul;
	s32 clock_base_shift;
	struct kvmpv_record_watch clock_watch;
	/* What each slot held when the module took it, or 0 if the slot was disabled. */
	u64 foreign_msr[KVMPV_NUM_REGISTRATIONS];
	/*
	 * This CPU's steal clock; steal_clock.hh has the layout. It lies elsewhere, because the
	 * per-CPU data of all modules together has 8 KB. Set on every possible CPU before the first
	 * one is asked for its steal time.
	 */
	void *steal_here;
	/* This CPU's struct KvmPvEoi. Set on every possible CPU before the callback is hooked. */
	void *eoi_word;
	/* Indexed by EoiCounter. Only its own CPU writes it, with interrupts off. */
	u64 eoi_count[KVMPV_NUM_EOI_COUNTERS];
	/* ioapic_interrupts() of this CPU when eoi_count began to count. */
	u64 eoi_ioapic_base;
	/* Function calls to several CPUs at once. Only its own CPU counts, with preemption off. */
	u64 ipi_calls;
	u64 ipi_calls_to_all_others;
	struct kvmpv_value values[KVMPV_NUM_VALUES];
	/* This CPU's class Wakeups, or null while none are counted. */
	void *wakeups;
};

#ifdef __cplusplus
/* x86.hh uses the symbol as an offset to %gs. Its plain address is not that of any CPU's copy. */
extern struct kvmpv_cpu kvmpv_cpu;

/*
 * The kernel's per-CPU pointer to the running thread, a struct task_struct. Kbuild says what the
 * symbol is called: current_task, or pcpu_hot, whose first member the pointer is.
 */
extern const void *KVMPV_CURRENT_TASK;

/*
 * The address of this symbol is the offset of nivcsw in that struct (src/linux/tasks.c). nivcsw, an
 * unsigned long, counts how often the kernel has switched away from the thread while it was
 * running.
 */
extern const u8 kvmpv_task_nivcsw[];
#endif

/* A clock record of zeros, for a CPU that has no record. */
extern const u8 kvmpv_no_clock_record[32];

/* Who is told of CPUs that go online and offline. */
enum kvmpv_follower {
	KVMPV_CLOCK,
	KVMPV_STEAL,
	KVMPV_EOI,
	KVMPV_HALT_POLL,
	KVMPV_MIGRATION,
	KVMPV_SAMPLER,
	KVMPV_NUM_FOLLOWERS
};

/* What can be switched while the module is loaded. Each has a module parameter. */
enum kvmpv_switch {
	KVMPV_CLOCK_RELEASE,
	KVMPV_CLOCK_FORCE_UNSTABLE,
	KVMPV_CLOCK_VDSO,
	KVMPV_STEAL_HOOK,
	KVMPV_STEAL_ATTRIBUTION,
	KVMPV_EOI_HOOK,
	KVMPV_HALT_POLLING,
	KVMPV_HALT_POLL_ACCOUNTING,
	KVMPV_ASYNC_PF_ACCOUNTING,
	KVMPV_SAMPLING,
	KVMPV_IPI_COUNT,
	KVMPV_NUM_SWITCHES
};

struct kvmpv_parameters {
	int clock; /* 0: no clocksource */
	int clock_rating; /* 0: automatic; else 1 to 499 */
	int legacy; /* 1: use the deprecated clock MSRs where they are offered */
	/*
	 * 0 or 1: their state at the start. KVMPV_CLOCK_VDSO may be -1: on in shared mode, if the
	 * kernel's own clock is read so, too. KVMPV_HALT_POLLING may be -1: left as it is.
	 */
	int switches[KVMPV_NUM_SWITCHES];
};

/* How a clocksource is read. */
struct clocksource;
typedef u64 (*kvmpv_clock_read_fn)(struct clocksource *cs);

/* ---- Upcalls: implemented in C++ --------------------------------------------------------- */

/* 0, or a negative errno, and then nothing is left changed. */
int kvmpv_start(const struct kvmpv_parameters *parameters);
void kvmpv_stop(void);

/*
 * Between kvmpv_start() and kvmpv_stop(). Sets @which, an enum kvmpv_switch, to 0 or 1. 0, -EINVAL
 * for any other @value, or another negative errno.
 */
int kvmpv_switch_set(u32 which, int value);
bool kvmpv_switch_is_on(u32 which);

/*
 * A CPU goes online; see linux_hotplug_enable(). Each returns 0 or a negative errno.
 *	kvmpv_cpu_prepare()	on another CPU, before this one starts
 *	kvmpv_cpu_online()	on the CPU itself, preemptible but bound to it
 * A CPU goes offline:
 *	kvmpv_cpu_down()	on the CPU itself, preemptible but bound to it
 *	kvmpv_cpu_dead()	on another CPU, after this one has stopped
 * @follower: an enum kvmpv_follower.
 */
int kvmpv_cpu_prepare(u32 follower, u32 cpu);
int kvmpv_cpu_online(u32 follower, u32 cpu);
void kvmpv_cpu_down(u32 follower, u32 cpu);
void kvmpv_cpu_dead(u32 follower, u32 cpu);

/*
 * Called around suspend and hibernation, on the only CPU that is online, with interrupts off.
 * Timekeeping is suspended after kvmpv_suspend() and resumed before kvmpv_resume(); the clock has
 * callbacks of its own.
 */
void kvmpv_suspend(u32 cpu);
void kvmpv_resume(u32 cpu);

/*
 * Called around suspend and hibernation, on @cpu with interrupts off, even if the clocksource is
 * not the current one. Resume comes before timekeeping reads again. @cpu is the only CPU online,
 * except in suspend to idle: there the other CPUs are idle with interrupts off, and resume may come
 * on another CPU than suspend.
 */
void kvmpv_clock_suspend(u32 cpu);
void kvmpv_clock_resume(u32 cpu);

/* Called before the machine restarts, kexec included. */
void kvmpv_restart(void);

/*
 * The read callbacks of struct clocksource, which the kernel calls directly: the time in ns.
 * notrace; any context, NMI included.
 */
u64 kvmpv_clock_read_stable_lfence(struct clocksource *cs);
u64 kvmpv_clock_read_stable_rdtscp(struct clocksource *cs);
u64 kvmpv_clock_read_guarded_lfence(struct clocksource *cs);
u64 kvmpv_clock_read_guarded_rdtscp(struct clocksource *cs);

/*
 * The target of the static call pv_steal_clock: for how many ns @cpu could have run and did not.
 * Never less than before. Interrupts off, possibly with a run queue locked. Any CPU may ask about
 * any other, and several may ask at once.
 */
u64 kvmpv_steal_clock(int cpu);

/*
 * Called at every context switch, on the CPU that switches, while the task that leaves is still the
 * current one. Interrupts are off and the run queue is locked.
 */
void kvmpv_task_switch(void);

/*
 * The callback by which the kernel ends every interrupt. notrace; interrupts off. The arguments are
 * those of struct apic's eoi_write before Linux 6.5. Since then there are none, and both are
 * garbage.
 */
void kvmpv_eoi(u32 reg, u32 value);

/*
 * Called when this CPU calls a function on several others at once, after linux_ipi_calls_enable().
 * Preemption is off; interrupts may be.
 */
void kvmpv_ipi_call(bool to_all_others);

/*
 * Called between linux_wakeups_enable() and linux_wakeups_disable(), in any context but NMI, on the
 * CPU that it is about. kvmpv_ipi_sent() is called on the CPU that sends an IPI to @cpu.
 *	kvmpv_idle_begins()	the CPU is about to halt
 *	kvmpv_timer_expires()	the kernel handles a timer that was due @late_ns ago (or < 0)
 *	kvmpv_ipi_arrives()	an IPI has interrupted the CPU
 *	kvmpv_idle_ends()	the CPU continues after a halt
 */
void kvmpv_idle_begins(void);
void kvmpv_timer_expires(s64 late_ns);
void kvmpv_ipi_sent(u32 cpu);
void kvmpv_ipi_arrives(void);
void kvmpv_idle_ends(void);

/* A task that waits for a page which the host has to bring. */
struct kvmpv_apf_wait {
	u64 begun_ns;
	u32 cpu; /* where it began */
	u32 token; /* the host's number for it; the kernel side sets it */
};

/*
 * Between linux_apf_waits_enable() and linux_apf_waits_disable(), in the task that waits, with
 * interrupts off, never in an NMI. A wait may end on another CPU than it began. @wait lives from
 * the first call to the second. There is no second one for a wait that outlasts
 * linux_apf_waits_disable().
 */
void kvmpv_apf_wait_begins(struct kvmpv_apf_wait *wait);
void kvmpv_apf_wait_ends(const struct kvmpv_apf_wait *wait);

/* Called on @cpu once a second, in a thread that is bound to it, whether it is busy or idle. */
void kvmpv_sample(u32 cpu);

/* Called when the time of linux_hold_timer_set() has passed, where it may take the hotplug lock. */
void kvmpv_hold_is_due(void);

/* Called after linux_sampler_defer(), where it may take the hotplug lock. */
void kvmpv_sampler_deferred(void);

/*
 * Called on @cpu after linux_early_look_ask(): in an interrupt, or, in a kernel with PREEMPT_RT, in
 * a thread that is bound to it.
 */
void kvmpv_look_early(u32 cpu);

/*
 * Looks at the clock record of the CPU that it runs on, and returns how many events there have
 * been. Any context but NMI.
 */
u64 kvmpv_look_here(void);

/* ---- src/linux/acpi_pm.c ------------------------------------------------------------------ */

/*
 * 0, or -ENODEV if there is no ACPI PM timer. Only after 0 the counter may be read, in any context.
 * Bits 24 to 31 of the counter may always be 0.
 */
int linux_acpi_pm_create(void);
u32 linux_acpi_pm_read(void);

/* ---- src/linux/apf_waits.c ---------------------------------------------------------------- */

/*
 * From enable on, kvmpv_apf_wait_begins() and kvmpv_apf_wait_ends() are called for each task that
 * begins to wait. @most: how many may wait at once; any more are missed. Enable returns 0 or a
 * negative errno, -ENOENT if this kernel has no such waits. When disable returns, no call is under
 * way and none will come.
 */
int linux_apf_waits_enable(u32 most);
void linux_apf_waits_disable(void);

/* How many waits have been missed since the last enable. Any context. */
u64 linux_apf_waits_missed(void);

/* The lock of what is counted; disables interrupts. Any context but NMI. */
u64 linux_apf_waits_lock(void);
void linux_apf_waits_unlock(u64 state);

/* ---- src/linux/cgroups.c ------------------------------------------------------------------ */

/*
 * Writes the path of cgroup v2 number @id, with a NUL. 0, -ENAMETOOLONG if it does not fit, -ENOENT
 * if the cgroup is gone, or another negative errno.
 */
int linux_cgroup_path(u64 id, char *text, u32 size);

/* ---- src/linux/clocksource.c -------------------------------------------------------------- */

/* How the clocksource "kvmpv" is read. */
struct linux_clock_path {
	kvmpv_clock_read_fn read;
	/*
	 * The vDSO may read CPU 0's record. Only after linux_vdso_page() returns that record and
	 * linux_vdso_allow_mapping() has returned 0.
	 */
	bool vdso;
	/*
	 * The callback returns what kvm-clock's own would. The kernel then accepts timestamps of
	 * kvm-clock from drivers such as ptp_kvm. Needs linux_clocksource_has_ids().
	 */
	bool is_kvm_clock;
};

/*
 * The kernel identifies clocksources by an ID that they carry (since 6.10), not by their address.
 */
bool linux_clocksource_has_ids(void);

/*
 * Registers the clocksource "kvmpv", whose counter is in ns. Not again before it is unregistered. 0
 * or a negative errno.
 */
int linux_clocksource_register(const struct linux_clock_path *path, int rating);

/* It is registered, and nobody has unbound it by writing to unbind_clocksource. Any context. */
bool linux_clocksource_is_registered(void);

/*
 * Changes the rating, and lets the kernel choose a clocksource again before it returns. Only while
 * "kvmpv" is registered: the kernel would take an unbound clocksource back into its list. 0 or a
 * negative errno; then the rating is as before.
 */
int linux_clocksource_set_rating(int rating);

/*
 * 1 if the last write to current_clocksource named "kvmpv", which overrides ratings; 0 if it did
 * not; -ENOENT if that is unknown.
 */
int linux_clocksource_is_named(void);

/*
 * Returns 1 if another registered clocksource is fit for high-resolution timers, 0 if none is, and
 * -ENOENT if that is unknown. Sleeps.
 */
int linux_clocksource_has_other(void);

/*
 * Changes how "kvmpv" is read. The callback is in force from the next read on, in any context,
 * because timekeeping loads it for each read. User space follows at the next tick.
 */
void linux_clocksource_set_path(const struct linux_clock_path *path);

/* Timekeeping uses "kvmpv" now. Any context. */
bool linux_clocksource_is_current(void);

/*
 * 1 if the clocksource that timekeeping uses, whichever it is, has user space read CPU 0's record,
 * 0 if not, -ENOENT if that is unknown. Any context.
 */
int linux_clocksource_is_read_by_vdso(void);

/*
 * Writes the name of the clocksource that timekeeping uses; @size includes the NUL. 0, or -ENOENT
 * if the kernel's symbol was not found.
 */
int linux_clocksource_current_name(char *name, u32 size);

/*
 * "kvmpv" is the kernel's watchdog, against which it checks other clocksources: 1, 0, or -ENOENT if
 * that is unknown. @judges: there are clocksources to check at present.
 */
int linux_clocksource_is_watchdog(bool *judges);

/*
 * "kvmpv" is the kernel's watchdog, and the kernel accepts no other clocksource for that, so it
 * would refuse to unregister "kvmpv": 1, 0, or -ENOENT if that is unknown.
 */
int linux_clocksource_is_indispensable(void);

/* Unregisters "kvmpv". 0, or -EBUSY while the kernel cannot do without it. */
int linux_clocksource_unregister(void);

/*
 * After unregistering: returns when no call of the read callback is under way, not even a preempted
 * one. That takes tenths of a second, and longer if a task stays in the kernel without sleeping.
 */
void linux_clocksource_wait_for_readers(void);

/* ---- src/linux/cpu_features.c ------------------------------------------------------------- */

/* The CPUs have RDTSCP. Any context. */
bool linux_has_rdtscp(void);

/* The TSC's frequency in kHz as the kernel has calibrated it, or 0. Any context. */
u32 linux_tsc_khz(void);

/*
 * The CPU has X86_FEATURE_CONSTANT_TSC and X86_FEATURE_NONSTOP_TSC. Native kvm-clock then takes its
 * lower rating.
 */
bool linux_tsc_is_invariant(void);

/* The kernel has marked the TSC unstable, which lasts until the next boot. */
bool linux_tsc_is_unstable(void);

/* The guest's memory is encrypted, so that the host cannot read it. Any context. */
bool linux_memory_is_encrypted(void);

/* ---- src/linux/cpu_idle.c ----------------------------------------------------------------- */

/* Writes the name of the cpuidle driver, or "" if there is none. @size includes the NUL. */
void linux_cpuidle_driver_name(char *name, u32 size);

/* ---- src/linux/cpus.c --------------------------------------------------------------------- */

/* Take and release the hotplug lock: between these two no CPU goes online or offline. */
void linux_cpus_lock(void);
void linux_cpus_unlock(void);

/* The next online CPU after @cpu (start with -1), or -1 at the end. Under linux_cpus_lock(). */
int linux_next_online_cpu(int cpu);

/* The next possible CPU after @cpu (start with -1), or -1 at the end. Any context. */
int linux_next_possible_cpu(int cpu);

/*
 * @cpu was isolated at boot: the scheduler leaves it out (isolcpus=), or it has no tick while one
 * task runs (nohz_full=). Any context.
 */
bool linux_cpu_is_isolated(u32 cpu);

/* The CPU that runs this. Where the thread cannot move to another one. */
u32 linux_this_cpu(void);

/* The copy of @cpu, which must be a possible CPU. Any context, NMI included. */
struct kvmpv_cpu *linux_cpu(u32 cpu);

/* Disables interrupts on this CPU; and restores what the first one returned. Any context. */
u64 linux_irqs_off(void);
void linux_irqs_on(u64 state);

/* ---- src/linux/cross_calls.c -------------------------------------------------------------- */

/*
 * Calls @function on every online CPU, with interrupts off, and returns when all have returned.
 * Interrupts on.
 */
void linux_on_each_cpu(void (*function)(u32 cpu, void *context), void *context);

/*
 * Calls @function on every online CPU at the same time, with interrupts off. No CPU does anything
 * else before all of them have returned from it.
 */
void linux_stop_cpus(void (*function)(u32 cpu, void *context), void *context);

/*
 * Calls @function on @cpu, which must be online, with interrupts off, and returns when it has
 * returned. Interrupts on.
 */
void linux_call_on_cpu(u32 cpu, void (*function)(u32 cpu, void *context), void *context);

/* If @cpu is online, makes it leave its idle state once, and waits for that. Interrupts on. */
void linux_wake_cpu(u32 cpu);

/* ---- src/linux/debugfs.c ------------------------------------------------------------------ */

/* One file below /sys/kernel/debug/kvmpv/. */
struct kvmpv_file {
	const char *directory; /* "" or one level, e.g. "clock" */
	const char *name;
	/* Writes the whole text by linux_seq_write(). Called again if the buffer was too short. */
	void (*show)(void *seq);
	/*
	 * @text is what was written, without the final newline, with a NUL. Returns 0 or a negative
	 * errno. Calls never overlap. Null if the file cannot be written.
	 */
	int (*store)(const char *text);
	/*
	 * It shows the events, so poll(2) waits for the next one. Before it is shown, and whenever
	 * it is polled, kvmpv_look_here() is called.
	 */
	bool is_awaited;
	/*
	 * Instead of store, where what was written is in force only as long as the file stays open.
	 * @file tells one open file from another. It is closed when no process has it any more, and
	 * then closed() is called, whether anything was written to it or not. Calls of closed() may
	 * overlap with all others.
	 */
	int (*store_while_open)(const char *text, const void *file);
	void (*closed)(const void *file);
};

/*
 * The directory. 0, -EPERM or -ENOENT if debugfs was switched off at boot, or -ENODEV in a kernel
 * without it. It may be removed after an error, too.
 */
int linux_debugfs_create(void);
void linux_debugfs_remove(void);

/* Between these two: @file, which stays where it is. */
void linux_debugfs_add(const struct kvmpv_file *file);
void linux_seq_write(void *seq, const char *text, u32 length);

/* ---- src/linux/early_look.c --------------------------------------------------------------- */

/*
 * Between start and stop, ask makes kvmpv_look_early() be called on the CPU that asks, in this tick
 * or the next one. Ask may be called in any context, with a run queue locked; the thread must not
 * be able to move to another CPU. Start and stop run on @cpu. Nobody asks after stop has begun. It
 * waits for a call that is under way or queued, and does nothing without a start.
 */
void linux_early_look_start(u32 cpu);
void linux_early_look_ask(void);
void linux_early_look_stop(u32 cpu);

/* ---- src/linux/events_lock.c -------------------------------------------------------------- */

/* The lock of the event ring; disables interrupts. Any context but NMI. */
u64 linux_events_lock(void);
void linux_events_unlock(u64 state);

/* ---- src/linux/hold_timer.c --------------------------------------------------------------- */

/*
 * Has kvmpv_hold_is_due() called once, in a thread, when @ns have passed; a timer that was set
 * before is set anew. Stop waits for a call that is under way. After it none comes.
 */
void linux_hold_timer_set(u64 ns);
void linux_hold_timer_stop(void);

/* ---- src/linux/hotplug.c ------------------------------------------------------------------ */

/*
 * From enable on, kvmpv_cpu_prepare() and kvmpv_cpu_online() are called for every CPU that is
 * online already, and for every other one when it goes online. kvmpv_cpu_down() and
 * kvmpv_cpu_dead() are called when a CPU goes offline, and for every online one by
 * linux_hotplug_disable(). For a CPU that goes online the followers are called in the order in
 * which they were enabled, for one that goes offline in the reverse order. Returns 0 or a negative
 * errno. On error the follower has seen every CPU go that it saw come.
 */
int linux_hotplug_enable(u32 follower);
void linux_hotplug_disable(u32 follower);

/* ---- src/linux/hpet.c --------------------------------------------------------------------- */

/*
 * Maps the HPET, and stores its period in femtoseconds. 0, -ENODEV if there is none or it is
 * stopped, or -ENOMEM.
 */
int linux_hpet_create(u64 *period_fs);
void linux_hpet_destroy(void);
/* The lower 32 bits of the main counter. Between create and destroy; any context. */
u32 linux_hpet_read(void);

/* ---- src/linux/hypercalls.c --------------------------------------------------------------- */

/*
 * Asks the host by hypercall @number, by the instruction that this CPU has for that. Returns what
 * the host returns: negative KVM_E… numbers are its errors. Any context.
 */
s64 linux_hypercall2(u32 number, u64 first, u64 second);

/*
 * 1 if the kernel calls its function that makes hypercall @number, 0 if it calls another one,
 * -ENOENT if that cannot be told. Any context.
 */
int linux_makes_hypercall(u32 number);

/* ---- src/linux/ipi_calls.c ---------------------------------------------------------------- */

/*
 * From enable on, kvmpv_ipi_call() is called. Enable returns 0, -ENODEV in a kernel that does not
 * report such calls, or another negative errno. When disable returns, no call is under way and
 * none will come.
 */
int linux_ipi_calls_enable(void);
void linux_ipi_calls_disable(void);

/* ---- src/linux/irq_lines.c ---------------------------------------------------------------- */

/* Once, before the next function; without it that returns 0. */
void linux_ioapic_lines_prepare(void);

/*
 * How many interrupts IOAPIC line @line has raised on @cpu since boot, and whether the line is
 * level-triggered. 0 if there is no such line or the kernel cannot be asked.
 */
u64 linux_ioapic_line_interrupts(u32 line, u32 cpu, bool *is_level);

/* ---- src/linux/log.c ---------------------------------------------------------------------- */

void linux_log_info(const char *line);
void linux_log_warn(const char *line);
void linux_log_err(const char *line);

/* ---- src/linux/memory.c ------------------------------------------------------------------- */

/* Zeroed memory of @size bytes, or null. May sleep. */
void *linux_memory_create(u64 size);
/* @memory may be null. May sleep. */
void linux_memory_destroy(void *memory);

/* ---- src/linux/module_ref.c --------------------------------------------------------------- */

/*
 * Until linux_module_let_go(), rmmod fails with EAGAIN. Returns false if the module is already
 * being unloaded.
 */
bool linux_module_keep(void);
void linux_module_let_go(void);

/* ---- src/linux/msr.c ---------------------------------------------------------------------- */

/* Reads @msr on @cpu, which must be online. 0, or -EIO if the read faults there. Interrupts on. */
int linux_rdmsr_on_cpu(u32 cpu, u32 msr, u64 *value);

/* Access @msr on this CPU. 0, or -EIO if the access faults. Any context. */
int linux_rdmsr_here(u32 msr, u64 *value);
int linux_wrmsr_here(u32 msr, u64 value);

/* ---- src/linux/mutexes.c ------------------------------------------------------------------ */

/*
 * A mutex for each owner who asks the host or a device, or who changes what cannot be changed in an
 * instant. Taken before linux_cpus_lock().
 */
enum kvmpv_mutex {
	KVMPV_MUTEX_CLOCK, /* its switches */
	KVMPV_MUTEX_OTHER_CLOCKS, /* two readers of the same device would measure each other */
	KVMPV_MUTEX_WALL_CLOCK, /* all CPUs share its MSR */
	KVMPV_MUTEX_PAIRING, /* all askers share the memory for the answer */
	KVMPV_MUTEX_STEAL, /* its switches, reset, and whoever gathers its charges */
	KVMPV_MUTEX_EOI, /* its switch */
	KVMPV_MUTEX_ASYNC_PF, /* its switch, and whoever shows what was counted */
	KVMPV_MUTEX_HALT_POLL, /* its switches, and whoever shows what they have done */
	KVMPV_MUTEX_MIGRATION, /* who holds the guest, and what its MSR is set to */
	KVMPV_MUTEX_SAMPLER, /* its switch */
	KVMPV_MUTEX_IPI, /* its switch */
	KVMPV_MUTEX_FOLLOWERS, /* who begins to follow CPUs; taken inside the others */
	KVMPV_NUM_MUTEXES
};

void linux_mutex_lock(u32 which);
void linux_mutex_unlock(u32 which);

/* ---- src/linux/native_apic.c -------------------------------------------------------------- */

/*
 * 1 if the kernel ends interrupts by its own callback for KVM, 0 if by the one that only writes the
 * EOI register, -ENOENT if by anything else or if the callback cannot be found.
 */
int linux_native_eoi_in_force(void);

/*
 * The callback that the kernel calls now, or null; and its replacement: 0, or an errno and no
 * change.
 */
const void *linux_eoi_callback(void);
int linux_eoi_callback_set(const void *callback);

/* The kernel calls that one now. */
bool linux_eoi_callback_is_plain(void);

/*
 * The kernel's own PV EOI word of @cpu, and its guest-physical address; null and 0 if it cannot be
 * found. Any context.
 */
void *linux_native_eoi_word(u32 cpu, u64 *physical);

/* ---- src/linux/native_async_pf.c ---------------------------------------------------------- */

/*
 * The kernel's own struct kvm_vcpu_pv_apf_data of @cpu, registered or not, and its guest-physical
 * address. Null and 0 if it cannot be found. Any context.
 */
const void *linux_native_apf_record(u32 cpu, u64 *physical);

/*
 * How many interrupts with the vector for hypervisors @cpu has had since boot, or -ENOENT if the
 * kernel does not count them. Any context.
 */
s64 linux_hypervisor_interrupts(u32 cpu);

/* ---- src/linux/native_clock.c ------------------------------------------------------------- */

/*
 * The record behind @cpu's exported hv_clock_per_cpu pointer, and its guest-physical address. Null
 * and 0 if the kernel has none (nopv, no-kvmclock). Any context.
 */
const void *linux_native_clock_record(u32 cpu, u64 *physical);

/*
 * Points @cpu's hv_clock_per_cpu at @page, or at nothing if that is null, so that the kernel's
 * paused-guest check looks there. Never replaces a record of the kernel's own.
 */
void linux_native_clock_publish(u32 cpu, const void *page);

/* The rating of native kvm-clock, or -ENOENT if its struct clocksource cannot be found. */
int linux_native_clock_rating(void);

/*
 * 1 if the kernel has user space read native kvm-clock, 0 if not (no-kvmclock-vsyscall), -ENOENT if
 * its struct clocksource cannot be found.
 */
int linux_native_clock_is_read_by_vdso(void);

/* The guest-physical address of the kernel's own wall clock record, or 0 if that is not known. */
u64 linux_native_wall_clock_physical(void);

/* ---- src/linux/native_eoi.c --------------------------------------------------------------- */

/*
 * Finds the callback that writes the EOI register and does nothing else, for linux_eoi_write().
 * Once, before kvmpv_eoi() is hooked. 0, or -ENOENT if there is none.
 */
int linux_eoi_write_prepare(void);

/* Writes the EOI register. notrace; interrupts off. */
void linux_eoi_write(void);

/* This CPU runs its idle task, or an interrupt that came in it. notrace; interrupts off. */
bool linux_in_idle(void);

/* ---- src/linux/native_steal.c ------------------------------------------------------------- */

/*
 * 1 if pv_steal_clock calls the kernel's own steal clock for KVM, 0 if it calls the one that always
 * returns 0, -ENOENT if it calls anything else or cannot be found.
 */
int linux_native_steal_in_force(void);

/*
 * The kernel's own struct kvm_steal_time of @cpu, registered or not, and its guest-physical
 * address. Null and 0 if it cannot be found. Any context.
 */
void *linux_native_steal_record(u32 cpu, u64 *physical);

/* The steal time that the kernel has accounted on @cpu, in ns; /proc/stat shows it. Any context. */
u64 linux_accounted_steal_ns(u32 cpu);

/* ---- src/linux/pages.c -------------------------------------------------------------------- */

struct linux_mapping {
	const void *address;
	void *base;
	bool is_vmap;
};

/*
 * Maps @size bytes of guest memory at @physical, read-only, and decrypted in a guest with encrypted
 * memory. 0, -EINVAL for an address beyond the CPU's address bits, or -ENOMEM.
 */
int linux_map_shared(u64 physical, u32 size, struct linux_mapping *mapping);
void linux_unmap_shared(struct linux_mapping *mapping);

/*
 * Memory that the host can read and write: zeroed, physically contiguous and page-aligned, and
 * decrypted in a guest with encrypted memory. Create returns 0, or -ENOMEM or the error of the
 * decryption, and then there is no address.
 */
struct linux_area {
	void *address;
	u64 physical;
	u32 order;
};

int linux_area_create(u32 size, struct linux_area *area);
/* Takes over the page at @address, which an earlier load of this module has created as above. */
void linux_area_adopt(const void *address, struct linux_area *area);
/* @address lies in the kernel image, so it is a variable and not memory that was allocated. */
bool linux_is_in_kernel_image(const void *address);
/*
 * Frees the area. No slot may hold an address in it any more. If it cannot be encrypted again it is
 * leaked.
 */
void linux_area_destroy(struct linux_area *area);

/* @physical lies in RAM that the kernel manages. */
bool linux_is_kernel_ram(u64 physical);

/* ---- src/linux/restart.c ------------------------------------------------------------------ */

/* From enable on, kvmpv_restart() is called. */
int linux_restart_notify_enable(void);
void linux_restart_notify_disable(void);

/* ---- src/linux/rtc.c ---------------------------------------------------------------------- */

/* Reads the real-time clock rtc0: seconds since 1970. 0 or a negative errno. */
int linux_rtc_read(u64 *seconds);

/* ---- src/linux/sampler.c ------------------------------------------------------------------ */

/*
 * From start to stop, kvmpv_sample() is called on @cpu, at once for the first time. Start and stop
 * run on @cpu. Stop waits for a call that is under way, and does nothing where none was started.
 */
void linux_sampler_start(u32 cpu);
void linux_sampler_stop(u32 cpu);

/* Any context but NMI. Has kvmpv_sampler_deferred() called soon. */
void linux_sampler_defer(void);

/* After every sampler has been stopped: returns when no deferred call is left. */
void linux_sampler_finish(void);

/* ---- src/linux/sched_switch.c ------------------------------------------------------------- */

/*
 * From enable on, kvmpv_task_switch() is called. Enable returns 0 or a negative errno. When disable
 * returns, no call is under way and none will come.
 */
int linux_task_switches_enable(void);
void linux_task_switches_disable(void);

/* ---- src/linux/sleep.c -------------------------------------------------------------------- */

/* The thread sleeps for @ms or somewhat longer. */
void linux_msleep(u32 ms);

/* Lets another thread run if one waits. */
void linux_cond_resched(void);

/* ---- src/linux/static_calls.c ------------------------------------------------------------- */

/* The static calls that can be read and set. */
enum kvmpv_static_call {
	KVMPV_CALL_PV_STEAL_CLOCK,
	KVMPV_CALL_APIC_EOI, /* since 6.5 */
	KVMPV_NUM_STATIC_CALLS
};

/*
 * What @which (enum kvmpv_static_call) calls now, or null if its symbols were not found. Any
 * context.
 */
const void *linux_static_call_target(u32 which);

/* From now on @which calls @target, on all CPUs. Only if linux_static_call_target() is not null. */
void linux_static_call_set(u32 which, const void *target);

/*
 * For functions that are called with interrupts off: returns when every call that was under way has
 * returned.
 */
void linux_wait_for_callers(void);

/* ---- src/linux/steal_accounting.c --------------------------------------------------------- */

/*
 * Increment and decrement two static keys of the kernel. While paravirt_steal_enabled is above 0
 * the scheduler's accounting asks pv_steal_clock. While paravirt_steal_rq_enabled is, its run
 * queues do so, too (CONFIG_PARAVIRT_TIME_ACCOUNTING), and subtract steal from the time that tasks
 * have run. Start returns 0, or -ENOENT and changes nothing if the first key cannot be found; the
 * second may be missing. Stop undoes one start.
 */
int linux_steal_accounting_start(void);
void linux_steal_accounting_stop(void);

/*
 * The first of these keys, or the second one (@run_queues), is above 0. False if it was not found.
 */
bool linux_steal_accounting_is_on(bool run_queues);

/* ---- src/linux/suspend.c ------------------------------------------------------------------ */

/* From enable on, kvmpv_suspend() and kvmpv_resume() are called. */
void linux_suspend_notify_enable(void);
void linux_suspend_notify_disable(void);

/* ---- src/linux/symbol_names.c ------------------------------------------------------------- */

/* Writes the name of the function at @address, and of its module. @size includes the NUL. */
void linux_symbol_name(const void *address, char *text, u32 size);

/* ---- src/linux/symbols.c ------------------------------------------------------------------ */

/* Looks up the kernel symbols that are not exported. The calls above say if one is missing. */
void linux_symbols_resolve(void);

/* ---- src/linux/tasks.c -------------------------------------------------------------------- */

struct kvmpv_task {
	u32 pid;
	u32 tgid;
	u64 start_ns; /* when it started: tells it from an earlier task of the same pid */
	u64 cgroup; /* the number (inode) of its cgroup v2 */
	char comm[16];
};

/* The task that this CPU runs; pid 0 is the idle task. Any context. */
void linux_current_task(struct kvmpv_task *task);

/* ---- src/linux/time.c --------------------------------------------------------------------- */

/* CLOCK_MONOTONIC in ns, which stands still in suspend. Any context. */
u64 linux_monotonic_ns(void);

/* CLOCK_MONOTONIC_RAW in ns. Any context. */
u64 linux_monotonic_raw_ns(void);

/* CLOCK_REALTIME in ns. Any context. */
u64 linux_realtime_ns(void);

/* The length of the scheduler's tick in ns. Any context. */
u64 linux_tick_ns(void);

/* ---- src/linux/trace.c -------------------------------------------------------------------- */

/* Nothing happens while nobody listens. Any context. */

/* kvmpv:steal: @cpu, which runs this, has lost @delta_ns, and @total_ns in all. */
void linux_trace_steal(u32 cpu, u64 delta_ns, u64 total_ns);

/*
 * kvmpv:steal_step: the record of @cpu went back by @step_ns, or (@forward) grew by @step_ns more
 * than the time that passed.
 */
void linux_trace_steal_step(u32 cpu, bool forward, u64 step_ns, u64 total_ns);

/*
 * kvmpv:async_pf_wait: the current task has waited @wait_ns for a page, since a fault on @cpu.
 * @token: the host's number for it.
 */
void linux_trace_async_pf_wait(u32 cpu, u32 token, u64 wait_ns);

/* ---- src/linux/vdso.c --------------------------------------------------------------------- */

/* The page with CPU 0's record that the kernel maps into processes, or null. */
const void *linux_vdso_page(void);

/*
 * Makes @page that page. It must never be freed, because processes keep it mapped. 0, or -ENOENT if
 * the kernel's pointer cannot be found.
 */
int linux_vdso_publish_page(const void *page);

/*
 * From now on the kernel maps that page for any process that touches it. This cannot be undone. 0,
 * or -ENOENT if the kernel's variable cannot be found.
 */
int linux_vdso_allow_mapping(void);

/* ---- src/linux/waiters.c ------------------------------------------------------------------ */

/*
 * Wakes the programs that wait for an event. In a thread or in an irq_work, and not under
 * linux_events_lock(): with PREEMPT_RT it takes a lock that sleeps.
 */
void linux_waiters_wake(void);

/* ---- src/linux/wakeups.c ------------------------------------------------------------------ */

/*
 * From enable on, kvmpv_idle_begins() and its like are called. Enable returns 0 or a negative
 * errno, -ENOENT if this kernel lacks a tracepoint. When disable returns, no call is under way and
 * none will come.
 */
int linux_wakeups_enable(void);
void linux_wakeups_disable(void);

/* The kernel says when it sends an IPI (since 6.4). Only after linux_wakeups_enable(). */
bool linux_wakeups_see_ipis_sent(void);

#ifdef __cplusplus
}
#endif
#endif
