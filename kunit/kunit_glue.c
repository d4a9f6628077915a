// SPDX-License-Identifier: GPL-2.0-only
/*
 * What KUnit and the live cases need from the kernel: the tables of suites, failures and log,
 * threads on CPUs, and the time as the kernel's own kvmclock code reads it.
 */
#include <kunit/test.h>
#include <linux/atomic.h>
#include <linux/clocksource.h>
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <asm/cpufeature.h>
#include <asm/kvm_para.h>
#include <asm/pvclock.h>
#include <asm/kvmclock.h> /* uses the types of pvclock.h without including it */

#include "kunit_boundary.h"
#include "../src/linux/symbols.h"

/* ---- Any runner ----------------------------------------------------------------------------- */

void linux_test_fail(struct kunit *test, const char *text)
{
	KUNIT_FAIL(test, "%s", text);
}

void linux_test_log(struct kunit *test, const char *text)
{
	kunit_info(test, "%s", text);
}

void linux_test_skip(struct kunit *test, const char *reason)
{
	kunit_mark_skipped(test, "%s", reason);
}

void linux_test_suite_error(const char *text)
{
	pr_err("%s\n", text);
}

/* ---- The kernel's own kvmclock -------------------------------------------------------------- */

bool linux_test_cpuid_offers_stable(void)
{
	u32 base = hypervisor_cpuid_base("KVMKVMKVM\0\0\0", 0);

	return base && cpuid_eax(base + 1) & BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT);
}

u8 linux_test_record_flags(u32 cpu)
{
	return READ_ONCE(per_cpu(hv_clock_per_cpu, cpu)->pvti.flags);
}

bool linux_test_has_rdtscp(void)
{
	return boot_cpu_has(X86_FEATURE_RDTSCP);
}

u64 linux_test_native_read(void)
{
	struct clocksource *kvm_clock = kvmpv_symbols.kvm_clock;

	return kvm_clock->read(kvm_clock);
}

u64 linux_test_raw_record_read(u32 *version)
{
	const struct pvclock_vcpu_time_info *page = this_cpu_pvti();
	u64 ns;

	do {
		*version = pvclock_read_begin(page);
		ns = __pvclock_read_cycles(page, rdtsc_ordered());
	} while (pvclock_read_retry(page, *version));
	return ns;
}

u64 linux_test_interrupts_off(void)
{
	unsigned long flags;

	local_irq_save(flags);
	return flags;
}

void linux_test_interrupts_on(u64 state)
{
	unsigned long flags = state;

	local_irq_restore(flags);
}

/* An arch spinlock, because lockdep would take most of the time between two reads. */
static arch_spinlock_t lock = __ARCH_SPIN_LOCK_UNLOCKED;

void linux_test_lock(void)
{
	preempt_disable();
	arch_spin_lock(&lock);
}

void linux_test_unlock(void)
{
	arch_spin_unlock(&lock);
	preempt_enable();
}

/* ---- Threads on CPUs ------------------------------------------------------------------------ */

struct linux_test_crew {
	void (*body)(struct linux_test_crew *crew, void *context, u32 cpu);
	void *context;
	int size;
	struct completion go;
	atomic_t arrived;
	wait_queue_head_t all_here;
};

struct member {
	struct linux_test_crew *crew;
	struct task_struct *task;
	struct completion done;
	u32 cpu;
};

static int member_main(void *data)
{
	struct member *member = data;

	wait_for_completion(&member->crew->go);
	member->crew->body(member->crew, member->crew->context, member->cpu);
	complete(&member->done);
	return 0;
}

/*
 * Spins for a while, so that the threads continue at the same moment if each vCPU has a host CPU of
 * its own. But not for long: if the host runs one vCPU at a time, spinning keeps the others away.
 */
void linux_test_meet(struct linux_test_crew *crew)
{
	int arrived = atomic_inc_return(&crew->arrived);
	int all = roundup(arrived, crew->size);
	int spins = 1000;

	if (arrived == all) {
		wake_up_all(&crew->all_here);
		return;
	}
	while (atomic_read(&crew->arrived) < all && spins--)
		cpu_relax();
	wait_event(crew->all_here, atomic_read(&crew->arrived) >= all);
}

/* The thread does not run before wake_up_process(), and never if kthread_stop() comes first. */
static int hire(struct member *member, struct linux_test_crew *crew, u32 cpu)
{
	struct task_struct *task = kthread_create_on_cpu(member_main, member, cpu, "kvmpv_test/%u");

	if (IS_ERR(task))
		return PTR_ERR(task);
	member->crew = crew;
	member->task = get_task_struct(task);
	member->cpu = cpu;
	init_completion(&member->done);
	return 0;
}

static void run_together(struct linux_test_crew *crew, struct member *members)
{
	int i;

	for (i = 0; i < crew->size; i++)
		wake_up_process(members[i].task);
	complete_all(&crew->go);
	for (i = 0; i < crew->size; i++)
		wait_for_completion(&members[i].done);
}

/* After kthread_stop() the thread runs no code of this module any more. */
static int hire_and_run(struct linux_test_crew *crew, struct member *members)
{
	int error = 0;
	int cpu, i;

	for_each_online_cpu(cpu) {
		error = hire(&members[crew->size], crew, cpu);
		if (error)
			break;
		crew->size++;
	}
	if (!error)
		run_together(crew, members);
	for (i = 0; i < crew->size; i++)
		kthread_stop_put(members[i].task);
	return error ?: crew->size;
}

int linux_test_on_each_cpu(void (*body)(struct linux_test_crew *crew, void *context, u32 cpu),
			   void *context)
{
	struct linux_test_crew crew = { .body = body, .context = context };
	struct member *members = kcalloc(nr_cpu_ids, sizeof(*members), GFP_KERNEL);
	int result;

	if (!members)
		return -ENOMEM;
	init_completion(&crew.go);
	init_waitqueue_head(&crew.all_here);
	cpus_read_lock();
	result = hire_and_run(&crew, members);
	cpus_read_unlock();
	kfree(members);
	return result;
}

struct linux_test_trip {
	void (*body)(struct linux_test_trip *trip, void *context);
	void *context;
	struct completion wish;
	struct completion granted;
	bool over;
};

static int trip_main(void *data)
{
	struct linux_test_trip *trip = data;

	trip->body(trip, trip->context);
	WRITE_ONCE(trip->over, true);
	complete(&trip->wish);
	return 0;
}

/* The thread continues while it is moved. It waits only if its last wish is not granted yet. */
void linux_test_move(struct linux_test_trip *trip)
{
	wait_for_completion(&trip->granted);
	complete(&trip->wish);
}

static int move_until_over(struct linux_test_trip *trip, struct task_struct *task)
{
	int moves = 0;
	int cpu = -1;

	for (;;) {
		wait_for_completion(&trip->wish);
		if (READ_ONCE(trip->over))
			return moves;
		cpu = cpumask_next(cpu, cpu_online_mask);
		if (cpu >= nr_cpu_ids)
			cpu = cpumask_first(cpu_online_mask);
		/* Fails if that CPU has gone offline in between; there are others. */
		if (!set_cpus_allowed_ptr(task, cpumask_of(cpu)))
			moves++;
		complete(&trip->granted);
	}
}

int linux_test_while_moving(void (*body)(struct linux_test_trip *trip, void *context),
			    void *context)
{
	struct linux_test_trip trip = { .body = body, .context = context };
	struct task_struct *task = kthread_create(trip_main, &trip, "kvmpv_test");
	int moves;

	if (IS_ERR(task))
		return PTR_ERR(task);
	init_completion(&trip.wish);
	init_completion(&trip.granted);
	complete(&trip.granted);
	get_task_struct(task);
	/* This thread has to preempt the other one while that one reads the clock. */
	sched_set_fifo_low(current);
	wake_up_process(task);
	moves = move_until_over(&trip, task);
	kthread_stop_put(task);
	return moves;
}

/* ---- The suites ------------------------------------------------------------------------------ */

#define DEFINE_SUITE(suite, ...)					\
	static struct kunit_case suite##_cases[KVMPV_TEST_MOST_CASES + 1]; \
	static struct kunit_suite suite##_suite = {			\
		.name = "kvmpv_" #suite,				\
		.test_cases = suite##_cases,				\
		__VA_ARGS__						\
	};								\
	kunit_test_suite(suite##_suite)

#define SCRIPTED_SUITE(suite) DEFINE_SUITE(suite)

#define LIVE_SUITE(suite)						\
	static int suite##_init(struct kunit_suite *unused)		\
	{								\
		return kvmpv_test_##suite##_enter();			\
	}								\
	static void suite##_exit(struct kunit_suite *unused)		\
	{								\
		kvmpv_test_##suite##_leave();				\
	}								\
	DEFINE_SUITE(suite, .suite_init = suite##_init, .suite_exit = suite##_exit)

KVMPV_SCRIPTED_SUITES(SCRIPTED_SUITE);
KVMPV_LIVE_SUITES(LIVE_SUITE);

static void __init fill(struct kunit_case *into, const struct kvmpv_test_suite *from)
{
	u32 i;

	for (i = 0; i < from->count; i++) {
		into[i].run_case = from->cases[i].run;
		into[i].name = from->cases[i].name;
		into[i].module_name = KBUILD_MODNAME;
	}
}

#define FILL(suite) fill(suite##_cases, &kvmpv_test_##suite)

/* KUnit runs the suites after it, when the module has become live. */
static int __init fill_tables(void)
{
	KVMPV_SCRIPTED_SUITES(FILL);
	KVMPV_LIVE_SUITES(FILL);
	return 0;
}
module_init(fill_tables);

/* A module with an init function and without this one cannot be unloaded. */
static void __exit leave(void)
{
}
module_exit(leave);

MODULE_DESCRIPTION("Tests of kvmpv: scripted hosts, and the clock of this guest");
MODULE_LICENSE("GPL");
