/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The border between the test cases (C++) and their runner (kunit_glue.c in the kernel,
 * userspace_main.cc in user space). It lists every suite, and every call that crosses. The cases are
 * named in the suites' files alone (test.hh).
 *
 *	kvmpv_test_*	the suites, called by the runner
 *	linux_test_*	implemented by the runner, called by the cases
 *
 * A suite that is written but not listed does not compile. With one that is listed but not written,
 * the module does not link.
 */
#ifndef KVMPV_KUNIT_BOUNDARY_H
#define KVMPV_KUNIT_BOUNDARY_H

#include "../src/boundary.h"

/* ---- What is tested ------------------------------------------------------------------------- */

/* Suites that need only memory. They run on the scripted host, in the kernel and in user space. */
#define KVMPV_SCRIPTED_SUITES(SUITE) \
	SUITE(pvclock); \
	SUITE(version_read); \
	SUITE(guard); \
	SUITE(guard_anywhere); \
	SUITE(cpuid); \
	SUITE(slot); \
	SUITE(owned_slots); \
	SUITE(text); \
	SUITE(name); \
	SUITE(event_ring); \
	SUITE(disruption); \
	SUITE(early_look); \
	SUITE(promise); \
	SUITE(clock_alone); \
	SUITE(drift); \
	SUITE(clock_pairing); \
	SUITE(hook); \
	SUITE(steal); \
	SUITE(steal_handover); \
	SUITE(charge_table); \
	SUITE(page_waits); \
	SUITE(pv_eoi); \
	SUITE(value_slot); \
	SUITE(histogram); \
	SUITE(wakeups); \
	SUITE(poll_control); \
	SUITE(migration_hold)

/*
 * Suites that need a KVM guest. kvmpv_test_<suite>_enter() runs before the cases, _leave() after.
 */
#define KVMPV_LIVE_SUITES(SUITE) \
	SUITE(clock_live)

#ifdef __cplusplus
extern "C" {
#endif

struct kunit;

struct kvmpv_test_case {
	const char *name;
	void (*run)(struct kunit *handle);
};

struct kvmpv_test_suite {
	const struct kvmpv_test_case *cases;
	u32 count;
};

/* KUnit's own tables are filled at load, and have room for as many. */
enum { KVMPV_TEST_MOST_CASES = 64 };

#define KVMPV_DECLARE_SUITE(suite) extern const struct kvmpv_test_suite kvmpv_test_##suite
KVMPV_SCRIPTED_SUITES(KVMPV_DECLARE_SUITE);
KVMPV_LIVE_SUITES(KVMPV_DECLARE_SUITE);

/* 0, or a negative errno; then nothing is left changed and no case runs. */
int kvmpv_test_clock_live_enter(void);
void kvmpv_test_clock_live_leave(void);

/* ---- Any runner ----------------------------------------------------------------------------- */

/* The case has failed, but continues. */
void linux_test_fail(struct kunit *test, const char *text);

/* Writes a line to the log of the case. */
void linux_test_log(struct kunit *test, const char *text);

/* ---- Only in a KVM guest -------------------------------------------------------------------- */

/* The case cannot run here and has not failed. This function returns, and the case has to, too. */
void linux_test_skip(struct kunit *test, const char *reason);

/* Logs a line; for kvmpv_test_*_enter(). */
void linux_test_suite_error(const char *text);

/* What CPUID and the record of @cpu say, read by the kernel's own code. @cpu has a record. */
bool linux_test_cpuid_offers_stable(void);
u8 linux_test_record_flags(u32 cpu);
bool linux_test_has_rdtscp(void);

/* Calls the read callback of native kvm-clock. Any context. */
u64 linux_test_native_read(void);

/*
 * The time that this CPU's record and TSC give by the kernel's own arithmetic, without its stable
 * flag and without its guard; and the version that was read. Interrupts off.
 */
u64 linux_test_raw_record_read(u32 *version);
u64 linux_test_interrupts_off(void);
void linux_test_interrupts_on(u64 state);

/* One spinlock for all threads. Not in interrupts. */
void linux_test_lock(void);
void linux_test_unlock(void);

/*
 * Calls @body on every online CPU at the same time, each in a thread that is bound to its CPU. When
 * all have returned, returns how many there were. On error returns a negative errno and calls @body
 * nowhere.
 */
struct linux_test_crew;
int linux_test_on_each_cpu(void (*body)(struct linux_test_crew *crew, void *context, u32 cpu),
			   void *context);

/* Waits until every thread of the crew has called it. All call it the same number of times. */
void linux_test_meet(struct linux_test_crew *crew);

/*
 * Calls @body in a thread of its own. Soon after each linux_test_move() that thread is moved to the
 * next CPU. Returns how often it was moved. On error returns a negative errno and does not call
 * @body.
 */
struct linux_test_trip;
int linux_test_while_moving(void (*body)(struct linux_test_trip *trip, void *context),
			    void *context);
void linux_test_move(struct linux_test_trip *trip);

#ifdef __cplusplus
}
#endif
#endif
